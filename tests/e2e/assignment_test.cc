// One contractor's way through an assignment by unary calls: tokens, repetition, lapses, late work.
#include <gmock/gmock.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "google/protobuf/util/time_util.h"
#include "tests/e2e/cluster_fixture.h"
#include "tests/e2e/person.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

using ::fairlead::testing::Eventually;
using ::google::protobuf::util::TimeUtil;

class AssignmentTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    StartCluster(0);
    project_ = CreateClassProject("work");
  }
  Person NewPerson(const std::string& name) {
    return Person(cluster().address(), ContractorToken(name));
  }
  v1::Task Get(const std::string& name) {
    v1::GetTaskRequest request;
    request.set_name(name);
    auto task = client().Call(client().tasks(), &v1::TaskService::Stub::GetTask, request);
    EXPECT_OK(task) << task.status();
    return task.ok() ? *task : v1::Task();
  }
  std::string project_;
};

TEST_F(AssignmentTest, ARepeatedSubmitReturnsTheFirstReceipt) {
  Submit(project_, 0, 1, "one");
  Person ana = NewPerson("ana");
  ana.Online(1);
  const v1::Offer offer = ana.NextOffer();
  EXPECT_EQ(offer.pay_micros(), 20'000);
  ASSERT_OK(ana.Accept(offer));
  ASSERT_OK(ana.Accept(offer)) << "accepting again resumes the work";
  auto first = ana.Submit(offer, "a");
  auto second = ana.Submit(offer, "b");
  ASSERT_OK(first) << first.status();
  ASSERT_OK(second) << second.status();
  EXPECT_EQ(first->SerializeAsString(), second->SerializeAsString());
  EXPECT_EQ(first->pay_micros(), 20'000);
  v1::GetScorecardsRequest request;
  request.set_contractor("contractors/ana");
  EXPECT_TRUE(Eventually(absl::Seconds(10), [&] {
    auto cards = op().Call(op().accounts(), &v1::AccountService::Stub::GetScorecards, request);
    return cards.ok() && cards->balance_micros() == 20'000;
  }));
}

TEST_F(AssignmentTest, AcceptedWorkIsExtendedByTheStreamAndByTheCall) {
  Submit(project_, 0, 1, "one");
  Person ana = NewPerson("ana");
  ana.Online(1);
  const v1::Offer offer = ana.NextOffer();
  EXPECT_EQ(ReasonOf(ana.Extend(offer).status()), "STATE_PLACE");
  const auto assignment = ana.Accept(offer);
  ASSERT_OK(assignment) << assignment.status();
  const auto extended = ana.Extend(offer);
  ASSERT_OK(extended) << extended.status();
  EXPECT_EQ(extended->assignment(), offer.assignment());
  EXPECT_GE(TimeUtil::TimestampToMilliseconds(extended->submit_before()),
            TimeUtil::TimestampToMilliseconds(assignment->submit_before()));
  v1::WorkRequest request;
  request.mutable_extend()->set_assignment(offer.assignment());
  request.mutable_extend()->set_token(offer.token());
  const v1::WorkResponse by_stream = ana.Ask(request);
  EXPECT_GE(TimeUtil::TimestampToMilliseconds(by_stream.extended().submit_before()),
            TimeUtil::TimestampToMilliseconds(extended->submit_before()));
  request.mutable_extend()->set_token("forged");
  EXPECT_EQ(ana.Ask(request).refusal().reason(), "LEASE_LOST");
  ASSERT_OK(ana.Submit(offer, "a"));
}

TEST_F(AssignmentTest, AStaleTokenIsRefused) {
  Submit(project_, 0, 1, "one");
  Person ana = NewPerson("ana");
  ana.Online(1);
  const v1::Offer offer = ana.NextOffer();
  ASSERT_OK(ana.Accept(offer));
  auto stale = ana.Submit(offer, "a", "0123456789abcdef");
  EXPECT_TRUE(absl::IsAborted(stale.status())) << stale.status();
  EXPECT_EQ(ReasonOf(stale.status()), "LEASE_LOST");
  Person eve = NewPerson("eve");
  auto stolen = eve.Submit(offer, "a");
  EXPECT_EQ(ReasonOf(stolen.status()), "LEASE_LOST") << stolen.status();
  EXPECT_OK(ana.Submit(offer, "a"));
}

TEST_F(AssignmentTest, WorkSubmittedBeforeItsOfferIsAcceptedIsRefused) {
  Submit(project_, 0, 1, "one");
  Person ana = NewPerson("ana");
  ana.Online(1);
  const v1::Offer offer = ana.NextOffer();
  auto early = ana.Submit(offer, "a");
  EXPECT_TRUE(absl::IsFailedPrecondition(early.status())) << early.status();
  EXPECT_EQ(ReasonOf(early.status()), "STATE_NOT_ACCEPTED");
  auto wrong = ana.Accept(offer);
  ASSERT_OK(wrong);
  auto unknown_class = ana.Submit(offer, "z");
  EXPECT_EQ(FieldOf(unknown_class.status()), "answer.class_name") << unknown_class.status();
}

TEST_F(AssignmentTest, AnOfferThatLapsesMovesOnAndItsTokenIsDead) {
  const std::string task = Submit(project_, 0, 1, "one").at(0);
  Person ana = NewPerson("ana");
  ana.Online(1);
  const v1::Offer offer = ana.NextOffer();
  ana.Online(0);
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] { return Get(task).state() == v1::Task::READY; }))
      << "the offer window of a second has passed";
  EXPECT_EQ(ReasonOf(ana.Accept(offer).status()), "LEASE_LOST");
  Person ben = NewPerson("ben");
  ben.Online(1);
  const v1::Offer next = ben.NextOffer();
  EXPECT_EQ(next.project(), project_);
  EXPECT_NE(next.token(), offer.token());
}

TEST_F(AssignmentTest, NobodyIsOfferedADeclinedTaskAgain) {
  const std::string task = Submit(project_, 0, 1, "one").at(0);
  Person ana = NewPerson("ana");
  ana.Online(1);
  ASSERT_OK(ana.Decline(ana.NextOffer()));
  Person ben = NewPerson("ben");
  ben.Online(1);
  const v1::Offer offer = ben.NextOffer();
  EXPECT_THAT(offer.assignment(), ::testing::HasSubstr(task));
  ASSERT_OK(ben.Accept(offer));
  ASSERT_OK(ben.Submit(offer, "a"));
  // Ana is the only one left for the second answer, and is not asked.
  v1::PollOffersRequest poll;
  auto stub = v1::ContractorService::NewStub(cli::OpenChannel(cluster().address()));
  auto offers = ana.caller().Call(stub.get(), &v1::ContractorService::Stub::PollOffers, poll);
  ASSERT_OK(offers) << offers.status();
  EXPECT_EQ(offers->offers_size(), 0);
}

TEST_F(AssignmentTest, TwoReportsSendATaskToTheDeadLettersAndReplayBringsItBack) {
  const std::string task = Submit(project_, 0, 1, "one").at(0);
  for (const char* name : {"ana", "ben"}) {
    Person person = NewPerson(name);
    person.Online(1);
    const v1::Offer offer = person.NextOffer();
    ASSERT_OK(person.Accept(offer));
    const absl::Status reported = person.Report(offer);
    ASSERT_OK(reported) << reported;
  }
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] { return Get(task).state() == v1::Task::DEAD; }));
  auto dead = op().Call(op().admin(), &v1::AdminService::Stub::ListDeadLetters, {});
  ASSERT_OK(dead) << dead.status();
  ASSERT_EQ(dead->dead_letters_size(), 1);
  EXPECT_EQ(dead->dead_letters(0).name(), task);
  EXPECT_THAT(dead->dead_letters(0).reason(), ::testing::HasSubstr("2 contractors"));
  v1::ReplayDeadLetterRequest replay;
  replay.set_name(task);
  ASSERT_OK(op().Call(op().admin(), &v1::AdminService::Stub::ReplayDeadLetter, replay));
  EXPECT_EQ(Get(task).state(), v1::Task::READY);
}

TEST_F(AssignmentTest, ACancelledTaskStaysCancelledAndItsWorkIsPaid) {
  const std::string task = Submit(project_, 0, 1, "one").at(0);
  Person ana = NewPerson("ana");
  ana.Online(1);
  const v1::Offer offer = ana.NextOffer();
  ASSERT_OK(ana.Accept(offer));
  v1::CancelTaskRequest cancel;
  cancel.set_name(task);
  auto cancelled = client().Call(client().tasks(), &v1::TaskService::Stub::CancelTask, cancel);
  ASSERT_OK(cancelled) << cancelled.status();
  EXPECT_EQ(cancelled->state(), v1::Task::CANCELLED);
  const auto receipt = ana.Submit(offer, "a");
  ASSERT_OK(receipt) << receipt.status();
  EXPECT_TRUE(receipt->surplus());
  EXPECT_EQ(receipt->pay_micros(), 20'000);
  const auto again = ana.Submit(offer, "a");
  ASSERT_OK(again) << again.status();
  EXPECT_EQ(again->SerializeAsString(), receipt->SerializeAsString());
  EXPECT_OK(client().Call(client().tasks(), &v1::TaskService::Stub::CancelTask, cancel));
  v1::ExplainTaskRequest explain;
  explain.set_name(task);
  v1::ExplainTaskResponse why;
  EXPECT_TRUE(Eventually(absl::Seconds(10), [&] {
    auto response = client().Call(client().tasks(), &v1::TaskService::Stub::ExplainTask, explain);
    if (response.ok()) why = *response;
    return why.history_size() > 0 &&
           absl::StrContains(why.history(why.history_size() - 1), "paid, not used");
  })) << why.DebugString();
  EXPECT_EQ(why.task().received_answers(), 0);
  v1::ListPayEntriesRequest pay;
  pay.set_contractor("contractors/ana");
  const auto entries = op().Call(op().accounts(), &v1::AccountService::Stub::ListPayEntries, pay);
  ASSERT_OK(entries) << entries.status();
  ASSERT_EQ(entries->entries_size(), 1);
  EXPECT_EQ(entries->entries(0).assignment(), offer.assignment());
  ASSERT_EQ(why.decisions_size(), 1);
  EXPECT_EQ(why.decisions(0).contractor(), "ana");
}

}  // namespace
}  // namespace fairlead::e2e
