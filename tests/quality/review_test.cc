// Attempts and their reviews: whose turn it is, what becomes the label, what it says of the
// attempters.
#include "scheduler/quality/review.h"

#include <gmock/gmock.h>

namespace fairlead::quality {
namespace {

using store::v1::AnnotationRecord;
using Review = v1::Answer::Review;
using Step = ReviewOutcome::Step;

v1::AnswerSchema Schema() {
  v1::AnswerSchema schema;
  schema.set_kind(v1::TASK_KIND_FREE_TEXT);
  return schema;
}

class ReviewTest : public ::testing::Test {
 protected:
  AnnotationRecord& Add(const std::string& who) {
    AnnotationRecord& record = annotations_.emplace_back();
    record.set_contractor(who);
    record.set_accept_ms(1000 * static_cast<int64_t>(annotations_.size()));
    return record;
  }
  void Attempt(const std::string& who, const std::string& text) {
    Add(who).mutable_answer()->set_free_text(text);
  }
  void Verdict(const std::string& who, Review::Verdict verdict, const std::string& text = "") {
    Review& review = *Add(who).mutable_answer()->mutable_review();
    review.set_verdict(verdict);
    review.set_free_text(text);
  }
  ReviewOutcome Decide(int max_answers = 4) {
    return DecideReview(Schema(), annotations_, max_answers);
  }
  bool ReviewersTurn() const {
    ReviewTurns turns;
    for (const AnnotationRecord& record : annotations_) turns.Add(record.answer());
    return turns.reviewers();
  }

  std::vector<AnnotationRecord> annotations_;
};

TEST_F(ReviewTest, AnAcceptedAttemptIsTheLabel) {
  EXPECT_EQ(Decide().want, 1);
  EXPECT_FALSE(ReviewersTurn());
  Attempt("ana", "a short poem");
  EXPECT_EQ(Decide().step, Step::kMore);
  EXPECT_EQ(Decide().want, 2);
  EXPECT_TRUE(ReviewersTurn());
  Verdict("rev", Review::ACCEPT);
  const ReviewOutcome outcome = Decide();
  EXPECT_EQ(outcome.step, Step::kComplete);
  EXPECT_EQ(outcome.text.free_text(), "a short poem");
  EXPECT_EQ(outcome.reviewer, "rev");
  ASSERT_EQ(outcome.evidence.size(), 1);
  EXPECT_EQ(outcome.evidence[0].contractor(), "ana");
  EXPECT_EQ(outcome.evidence[0].right(), 1);
  EXPECT_EQ(outcome.evidence[0].weight(), 1);
}

TEST_F(ReviewTest, AnEditedOneCountsByItsLikeness) {
  Attempt("ana", "the quick brwn fox");
  Verdict("rev", Review::EDIT, "the quick brown fox");
  const ReviewOutcome outcome = Decide();
  EXPECT_EQ(outcome.step, Step::kComplete);
  EXPECT_EQ(outcome.text.free_text(), "the quick brown fox");
  ASSERT_EQ(outcome.evidence.size(), 1);
  EXPECT_GT(outcome.evidence[0].right(), 0.9);
  EXPECT_LT(outcome.evidence[0].right(), 1);
  EXPECT_FALSE(outcome.evidence[0].gold());
}

TEST_F(ReviewTest, ARejectedOneIsWrittenAnewUntilTheAnswersEnd) {
  Attempt("ana", "no");
  Verdict("rev", Review::REJECT);
  EXPECT_EQ(Decide().step, Step::kMore);
  EXPECT_EQ(Decide().want, 3);
  EXPECT_FALSE(ReviewersTurn());
  Attempt("ben", "better");
  EXPECT_TRUE(ReviewersTurn());
  EXPECT_EQ(AttemptToReview(annotations_, 3000)->free_text(), "better");
  Verdict("rex", Review::REJECT);
  EXPECT_EQ(Decide(6).want, 5);
  const ReviewOutcome outcome = Decide();
  EXPECT_EQ(outcome.step, Step::kDead);
  EXPECT_THAT(outcome.reason, ::testing::HasSubstr("2 attempts rejected in 4 answers"));
}

TEST_F(ReviewTest, AReplayedOneIsReviewedOnceMore) {
  for (const char* who : {"ana", "ben"}) {
    Attempt(who, "no");
    Verdict("rev", Review::REJECT);
  }
  ASSERT_EQ(Decide().step, Step::kDead);
  Attempt("eva", "yes");
  EXPECT_EQ(Decide().step, Step::kMore);
  EXPECT_EQ(Decide().want, 6);
  Verdict("rex", Review::ACCEPT);
  EXPECT_EQ(Decide().step, Step::kComplete);
  annotations_.back().mutable_answer()->mutable_review()->set_verdict(Review::REJECT);
  EXPECT_EQ(Decide().step, Step::kDead);
}

TEST_F(ReviewTest, WhoeverWasOfferedAPlaceBeforeAnAttemptCameWritesOne) {
  Attempt("ana", "first");
  EXPECT_EQ(AttemptToReview(annotations_, 999), nullptr);
  ASSERT_NE(AttemptToReview(annotations_, 1000), nullptr);
  EXPECT_EQ(AttemptToReview(annotations_, 1000)->free_text(), "first");
}

TEST_F(ReviewTest, ALateAttemptStandsBehindTheOneUnderReview) {
  Attempt("ana", "first");
  Attempt("late", "second");
  Verdict("rev", Review::REJECT);
  EXPECT_TRUE(ReviewersTurn());
  EXPECT_EQ(AttemptToReview(annotations_, 9000)->free_text(), "second");
  Verdict("rex", Review::ACCEPT);
  const ReviewOutcome outcome = Decide();
  EXPECT_EQ(outcome.text.free_text(), "second");
  ASSERT_EQ(outcome.evidence.size(), 2);
  EXPECT_EQ(outcome.evidence[0].right(), 0);
  EXPECT_EQ(outcome.evidence[1].contractor(), "late");
}

TEST_F(ReviewTest, AReviewOfNothingChangesNothing) {
  Verdict("late", Review::ACCEPT);
  EXPECT_EQ(Decide().step, Step::kMore);
  EXPECT_FALSE(ReviewersTurn());
  Attempt("ana", "text");
  annotations_.back().set_erased(true);
  EXPECT_EQ(AttemptToReview(annotations_, 9000), nullptr);
}

}  // namespace
}  // namespace fairlead::quality
