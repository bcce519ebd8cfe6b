// The way of a place: offered, accepted, extended, given up, answered.
#include "tests/store/task_store_contract.h"

namespace fairlead::store {
namespace {

TEST_P(TaskStoreContractTest, NobodySeesATaskTwiceUnlessTheOfferLapsed) {
  Submit("a", 5);
  ASSERT_TRUE(Offer("a", "ann", "t-ann"));
  EXPECT_FALSE(Offer("a", "ann", "t2")) << "has it";
  ASSERT_OK(Release("a", "ann", Placement::DECLINED));
  EXPECT_FALSE(Offer("a", "ann", "t2")) << "declined it";
  ASSERT_TRUE(Offer("a", "bob", "t-bob"));
  Advance(kOfferWindow);
  ASSERT_OK(Release("a", "bob", Placement::LAPSED));
  EXPECT_EQ(PlaceOf("a", "bob"), Placement::LAPSED);
  EXPECT_TRUE(Offer("a", "bob", "t2")) << "never opened it";
  Take("a", "cat");
  ASSERT_OK(Release("a", "cat", Placement::RETURNED));
  EXPECT_FALSE(Offer("a", "cat", "t2")) << "gave it back";
}

TEST_P(TaskStoreContractTest, AcceptingNeedsTheTokenAndTheOfferWindow) {
  Submit("a", 5);
  ASSERT_TRUE(Offer("a", "ann", "t-ann"));
  ExpectLost(store().Accept(Ref("a"), "ann", "forged").status());
  ExpectLost(store().Accept(Ref("a"), "bob", "t-ann").status());
  const auto accepted = store().Accept(Ref("a"), "ann", "t-ann");
  ASSERT_OK(accepted);
  EXPECT_EQ(accepted->deadline_ms, backend_->NowMs() + absl::ToInt64Milliseconds(kWorkWindow));
  EXPECT_EQ(accepted->record.task(), "a");
  EXPECT_FALSE(accepted->has_prelabel);
  v1::PrelabelRecord read;
  read.set_model_version("v1");
  ASSERT_OK(store().Prelabel(Ref("a"), read));
  Advance(absl::Seconds(5));
  const auto again = store().Accept(Ref("a"), "ann", "t-ann");
  ASSERT_OK(again);
  EXPECT_EQ(again->deadline_ms, accepted->deadline_ms) << "a repetition gains no time";
  EXPECT_EQ(again->record.task(), "a");
  EXPECT_TRUE(again->has_prelabel);
  EXPECT_EQ(again->prelabel.model_version(), "v1");
  ASSERT_OK(Answer("a", "ann"));
  ExpectReason(store().Accept(Ref("a"), "ann", "t-ann").status(),
               absl::StatusCode::kFailedPrecondition, "STATE_SUBMITTED");
  ASSERT_TRUE(Offer("a", "bob", "t-bob"));
  Advance(kOfferWindow + absl::Milliseconds(1));
  ExpectLost(store().Accept(Ref("a"), "bob", "t-bob").status());
}

TEST_P(TaskStoreContractTest, ExtendingGivesTheWorkWindowAgainUpToItsLimit) {
  Submit("a", 1);
  ASSERT_TRUE(Offer("a", "ann", "t-ann"));
  const auto extend = [&] { return store().Extend(Ref("a"), "ann", "t-ann"); };
  ExpectReason(extend().status(), absl::StatusCode::kFailedPrecondition, "STATE_PLACE");
  ASSERT_OK(store().Accept(Ref("a"), "ann", "t-ann"));
  const int64_t accepted_ms = backend_->NowMs();
  const int64_t window_ms = absl::ToInt64Milliseconds(kWorkWindow);
  ExpectLost(store().Extend(Ref("a"), "ann", "forged").status());
  ExpectLost(store().Extend(Ref("a"), "bob", "t-ann").status());
  EXPECT_EQ(extend()->seq, 0) << "nothing is gained at once";
  Advance(kWorkWindow - absl::Seconds(1));
  const auto first = extend();
  ASSERT_OK(first);
  EXPECT_GT(first->seq, 0);
  EXPECT_EQ(first->deadline_ms, backend_->NowMs() + window_ms);
  Advance(absl::Seconds(2));
  EXPECT_EQ(*store().Release(Ref("a"), "ann", "", Placement::OVERDUE, ""), 0) << "has more time";
  for (int i = 0; i < 3; ++i) {
    Advance(kWorkWindow - absl::Seconds(2));
    ASSERT_OK(extend());
  }
  EXPECT_EQ(extend()->deadline_ms, accepted_ms + kMostWindows * window_ms) << "and no more";
  EXPECT_EQ(extend()->seq, 0);
  Advance(kWorkWindow + absl::Seconds(10));
  ExpectLost(extend().status());
  ASSERT_OK(Answer("a", "ann"));
  ExpectReason(extend().status(), absl::StatusCode::kFailedPrecondition, "STATE_PLACE");
}

TEST_P(TaskStoreContractTest, TheFirstToAcceptTakesAPlaceThatSeveralWereOffered) {
  Submit("a", 1);
  ASSERT_TRUE(Offer("a", "ann", "t-ann"));
  EXPECT_FALSE(Offer("a", "bob", "t-bob"));
  ASSERT_TRUE(Offer("a", "bob", "t-bob", 1));
  EXPECT_FALSE(Offer("a", "cat", "t-cat", 1)) << "so many are out";
  ASSERT_TRUE(Offer("a", "cat", "t-cat", 2));
  EXPECT_EQ(Get("a").open, 3);
  ASSERT_OK(Release("a", "cat", Placement::DECLINED));
  ASSERT_OK(store().Accept(Ref("a"), "bob", "t-bob"));
  EXPECT_EQ(PlaceOf("a", "ann"), Placement::TAKEN);
  EXPECT_EQ(Get("a").open, 1);
  ExpectLost(store().Accept(Ref("a"), "ann", "t-ann").status());
  EXPECT_FALSE(Offer("a", "dan", "t-dan", 3)) << "somebody works at it";
  ASSERT_OK(Release("a", "bob", Placement::RETURNED));
  EXPECT_TRUE(Offer("a", "ann", "t2")) << "never opened it";
  ExpectCounts({.submitted = 1, .open = 1});
}

TEST_P(TaskStoreContractTest, BesideSlowWorkOneMoreMayBeAccepted) {
  Submit("a", 1);
  Take("a", "ann");
  ASSERT_TRUE(Offer("a", "bob", "t-bob", 0, 1));
  EXPECT_FALSE(Offer("a", "cat", "t-cat", 0, 1));
  ASSERT_OK(store().Accept(Ref("a"), "bob", "t-bob"));
  EXPECT_EQ(Get("a").open, 2);
  EXPECT_FALSE(Offer("a", "cat", "t-cat", 0, 1));
  ASSERT_OK(Answer("a", "bob"));
  ASSERT_OK(Answer("a", "ann"));
  EXPECT_EQ(Get("a").have, 2) << "both were in time";
  ExpectCounts({.submitted = 1, .open = 1, .annotations = 2});
}

TEST_P(TaskStoreContractTest, WorkFinishedInItsWindowAfterTheEndIsSurplus) {
  Submit("a");
  Take("a", "ann");
  Take("a", "bob");
  ASSERT_OK(store().End(Ref("a"), Task::CANCELLED, "no need"));
  Advance(absl::Seconds(5));
  const auto first = Answer("a", "ann");
  ASSERT_OK(first);
  EXPECT_TRUE(first->record.surplus());
  EXPECT_EQ(first->record.accept_ms(), backend_->NowMs());
  Advance(kWorkWindow);
  const auto again = Answer("a", "ann");
  ASSERT_OK(again);
  EXPECT_EQ(again->record.SerializeAsString(), first->record.SerializeAsString());
  EXPECT_GE(again->seq, first->seq);
  ExpectLost(Answer("a", "bob").status());
  EXPECT_THAT(Get("a").annotations, ::testing::IsEmpty()) << "it is no answer";
  ExpectCounts({.submitted = 1, .cancelled = 1});
}

TEST_P(TaskStoreContractTest, APlaceIsGivenUpFromItsOwnStateOnly) {
  Submit("a", 5);
  ASSERT_TRUE(Offer("a", "ann", "t-ann"));
  ExpectReason(Release("a", "ann", Placement::RETURNED).status(),
               absl::StatusCode::kFailedPrecondition, "STATE_PLACE");
  ExpectLost(store().Release(Ref("a"), "ann", "forged", Placement::DECLINED, "").status());
  ASSERT_OK(Release("a", "ann", Placement::DECLINED));
  EXPECT_EQ(*Release("a", "ann", Placement::DECLINED), 0) << "repeated";
  Take("a", "bob");
  ExpectReason(Release("a", "bob", Placement::DECLINED).status(),
               absl::StatusCode::kFailedPrecondition, "STATE_PLACE");
  ASSERT_OK(Release("a", "bob", Placement::REPORTED));
  EXPECT_EQ(Get("a").reports, 1);
  Take("a", "cat");
  ASSERT_OK(Answer("a", "cat"));
  ExpectReason(Release("a", "cat", Placement::RETURNED).status(),
               absl::StatusCode::kFailedPrecondition, "STATE_PLACE");
  EXPECT_EQ(Get("a").open, 0);
  ExpectCounts({.submitted = 1, .open = 1, .annotations = 1});
}

TEST_P(TaskStoreContractTest, TimeTakesAPlaceAtItsDeadlineAndNotBefore) {
  Submit("a");
  ASSERT_TRUE(Offer("a", "ann", "t-ann"));
  Take("a", "bob");
  Advance(kOfferWindow - absl::Milliseconds(1));
  EXPECT_EQ(*Release("a", "ann", Placement::LAPSED), 0);
  EXPECT_EQ(PlaceOf("a", "ann"), Placement::OFFERED);
  Advance(absl::Milliseconds(1));
  EXPECT_GT(*Release("a", "ann", Placement::LAPSED), 0);
  EXPECT_EQ(*Release("a", "ann", Placement::LAPSED), 0) << "twice";
  EXPECT_EQ(*Release("a", "bob", Placement::OVERDUE), 0) << "has its work window";
  Advance(kWorkWindow);
  EXPECT_GT(*Release("a", "bob", Placement::OVERDUE), 0);
  EXPECT_EQ(PlaceOf("a", "bob"), Placement::OVERDUE);
  ExpectCounts({.submitted = 1, .ready = 1});
}

TEST_P(TaskStoreContractTest, AnAnswerIsAcceptedOnceAndItsReceiptStays) {
  Submit("a");
  ASSERT_TRUE(Offer("a", "ann", "t-ann"));
  ExpectReason(Answer("a", "ann").status(), absl::StatusCode::kFailedPrecondition,
               "STATE_NOT_ACCEPTED");
  ASSERT_OK(store().Accept(Ref("a"), "ann", "t-ann"));
  ExpectLost(store().Annotate(Ref("a"), "ann", "x", MakeAnnotation("a", "ann", "x")).status());
  const auto first = Answer("a", "ann");
  ASSERT_OK(first);
  EXPECT_FALSE(first->record.late());
  Advance(absl::Hours(1));
  const auto again = store().Annotate(Ref("a"), "ann", "t-ann",
                                      MakeAnnotation("a", "ann", "t-ann", "another answer"));
  ASSERT_OK(again);
  EXPECT_EQ(again->record.SerializeAsString(), first->record.SerializeAsString());
  EXPECT_GE(again->seq, first->seq);
  ExpectCounts({.submitted = 1, .open = 1, .annotations = 1});
}

TEST_P(TaskStoreContractTest, LateWorkIsTakenWhileItsPlaceIsFree) {
  Submit("a", 1);
  Take("a", "ann");
  Advance(kWorkWindow);
  ASSERT_OK(Release("a", "ann", Placement::OVERDUE));
  const auto late = Answer("a", "ann");
  ASSERT_OK(late);
  EXPECT_TRUE(late->record.late());
  EXPECT_TRUE(Get("a").annotations.at(0).late());
  EXPECT_EQ(Get("a").have, 1);
}

TEST_P(TaskStoreContractTest, LateWorkIsLostOnceItsPlaceWentToSomebodyElse) {
  Submit("a", 1);
  Take("a", "ann");
  Advance(kWorkWindow);
  ASSERT_OK(Release("a", "ann", Placement::OVERDUE));
  ASSERT_TRUE(Offer("a", "bob", "t-bob"));
  ExpectLost(Answer("a", "ann").status());
  ExpectLost(Answer("a", "ann").status());
  EXPECT_EQ(Get("a").have, 0);
  ASSERT_OK(store().Accept(Ref("a"), "bob", "t-bob"));
  ASSERT_OK(Answer("a", "bob"));
  ExpectCounts({.submitted = 1, .open = 1, .annotations = 1});
}

TEST_P(TaskStoreContractTest, WhatLostItsPlaceDoesNotComeBackForAnother) {
  Submit("a", 1);
  Take("a", "ann");
  Advance(kWorkWindow);
  ASSERT_OK(Release("a", "ann", Placement::OVERDUE));
  ASSERT_TRUE(Offer("a", "bob", "t-bob"));
  EXPECT_EQ(PlaceOf("a", "ann"), Placement::WITHDRAWN);
  ASSERT_OK(Release("a", "bob", Placement::DECLINED));
  ASSERT_TRUE(*store().SetWant(Ref("a"), Get("a").version, 3));
  ExpectLost(Answer("a", "ann").status());
  EXPECT_EQ(Get("a").have, 0);
}

TEST_P(TaskStoreContractTest, AnOfferTakesThePlaceOfTheLongestOverdue) {
  Submit("a", 3);
  Take("a", "ben");
  Advance(absl::Seconds(1));
  Take("a", "ann");
  Take("a", "cat");
  Advance(kWorkWindow);
  for (const char* who : {"ann", "ben", "cat"}) ASSERT_OK(Release("a", who, Placement::OVERDUE));
  ASSERT_TRUE(Offer("a", "dan", "t-dan"));
  EXPECT_EQ(PlaceOf("a", "ben"), Placement::WITHDRAWN);
  ASSERT_TRUE(Offer("a", "eva", "t-eva"));
  EXPECT_EQ(PlaceOf("a", "ann"), Placement::WITHDRAWN) << "as long as cat; by name";
  EXPECT_EQ(PlaceOf("a", "cat"), Placement::OVERDUE);
  const auto late = Answer("a", "cat");
  ASSERT_OK(late);
  EXPECT_TRUE(late->record.late());
  ExpectLost(Answer("a", "ben").status());
}

TEST_P(TaskStoreContractTest, WhereFewerAreWantedOverdueWorkLosesItsPlace) {
  Submit("a", 2);
  Take("a", "ann");
  Take("a", "bob");
  Advance(kWorkWindow);
  ASSERT_OK(Release("a", "ann", Placement::OVERDUE));
  ASSERT_OK(Release("a", "bob", Placement::OVERDUE));
  ASSERT_TRUE(*store().SetWant(Ref("a"), Get("a").version, 1));
  EXPECT_EQ(PlaceOf("a", "ann"), Placement::WITHDRAWN);
  ASSERT_TRUE(*store().SetWant(Ref("a"), Get("a").version, 2));
  ExpectLost(Answer("a", "ann").status());
  ASSERT_OK(Answer("a", "bob"));
}

TEST_P(TaskStoreContractTest, AnOfferMayBeOfAnOverduePlaceOnly) {
  const auto instead_of_overdue = [&](const std::string& who) {
    return Offer("a", who, "t-" + who, 0, 0, /*from_overdue=*/true);
  };
  Submit("a", 3);
  EXPECT_FALSE(instead_of_overdue("bob")) << "nobody is overdue";
  Take("a", "ann");
  Advance(kWorkWindow);
  ASSERT_OK(Release("a", "ann", Placement::OVERDUE));
  EXPECT_TRUE(instead_of_overdue("bob"));
  EXPECT_EQ(PlaceOf("a", "ann"), Placement::WITHDRAWN) << "though two more places were free";
  EXPECT_FALSE(instead_of_overdue("cat"));
  EXPECT_EQ(Get("a").open, 1);
}

}  // namespace
}  // namespace fairlead::store
