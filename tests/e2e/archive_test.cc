// Tasks that have left Redis: every read and every late call goes on as if they had not.
#include <gmock/gmock.h>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/e2e/cluster_fixture.h"
#include "tests/e2e/person.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

using ::fairlead::testing::Eventually;

class ArchiveTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    // No ended task stays: the next round of the archiver takes it.
    StartCluster(0, {"--task_retention_count", "0"});
    project_ = CreateClassProject("past");
  }
  Person NewPerson(const std::string& name) {
    return Person(cluster().address(), ContractorToken(name));
  }
  absl::StatusOr<v1::Task> Get(const std::string& name) {
    v1::GetTaskRequest request;
    request.set_name(name);
    return client().Call(client().tasks(), &v1::TaskService::Stub::GetTask, request);
  }
  absl::StatusOr<v1::Task> Cancel(const std::string& name) {
    v1::CancelTaskRequest request;
    request.set_name(name);
    return client().Call(client().tasks(), &v1::TaskService::Stub::CancelTask, request);
  }
  // Redis holds nothing of the task any more.
  bool Leaves(const std::string& name) {
    const std::string id = name.substr(name.rfind('/') + 1);
    return Eventually(absl::Seconds(20), [&] {
      const std::string exists = absl::StrCat("EXISTS fl:{s0}:t:", id, " fl:{s0}:a:", id, "\r\n");
      return absl::StrContains(cli::AskRedis(cluster().redis_socket(), exists), ":0");
    });
  }
  std::string project_;
};

TEST_F(ArchiveTest, ACompletedTaskKeepsItsLabelItsReceiptsAndItsHistory) {
  const std::string task = Submit(project_, 0, 1, "one").at(0);
  v1::Receipt first;
  v1::Offer offer;
  for (const char* name : {"ana", "ben"}) {
    Person person = NewPerson(name);
    person.Online(1);
    offer = person.NextOffer();
    ASSERT_OK(person.Accept(offer));
    auto receipt = person.Submit(offer, "a");
    ASSERT_OK(receipt);
    first = *receipt;
  }
  ASSERT_TRUE(Eventually(absl::Seconds(10), [&] {
    auto now = Get(task);
    return now.ok() && now->state() == v1::Task::COMPLETED;
  }));
  ASSERT_TRUE(Leaves(task));
  auto archived = Get(task);
  ASSERT_OK(archived);
  EXPECT_EQ(archived->state(), v1::Task::COMPLETED);
  EXPECT_EQ(archived->label().answer().class_name(), "a");
  EXPECT_EQ(archived->annotations_size(), 2);
  Person ben = NewPerson("ben");
  auto again = ben.Submit(offer, "b");
  ASSERT_OK(again);
  EXPECT_EQ(again->SerializeAsString(), first.SerializeAsString());
  EXPECT_EQ(ReasonOf(ben.Submit(offer, "a", "0123456789abcdef").status()), "LEASE_LOST");
  EXPECT_EQ(ReasonOf(ben.Accept(offer).status()), "STATE_SUBMITTED");
  EXPECT_EQ(ReasonOf(NewPerson("eve").Decline(offer)), "LEASE_LOST");
  EXPECT_EQ(ReasonOf(Cancel(task).status()), "STATE_TERMINAL");
  v1::ExplainTaskRequest explain;
  explain.set_name(task);
  auto why = client().Call(client().tasks(), &v1::TaskService::Stub::ExplainTask, explain);
  ASSERT_OK(why);
  EXPECT_GE(why->history_size(), 3);
  EXPECT_EQ(why->decisions_size(), 2);
  v1::DeleteAnnotationRequest deletion;
  deletion.set_name(task);
  deletion.set_contractor(archived->annotations(0).contractor());
  for (int i = 0; i < 2; ++i) {
    auto now = client().Call(client().tasks(), &v1::TaskService::Stub::DeleteAnnotation, deletion);
    ASSERT_OK(now) << "once and again";
    ASSERT_EQ(now->annotations_size(), 2);
    EXPECT_TRUE(now->annotations(0).deleted());
    EXPECT_FALSE(now->annotations(0).has_answer());
    EXPECT_FALSE(now->annotations(1).deleted());
  }
  deletion.set_contractor("contractors/eve");
  EXPECT_EQ(ReasonOf(client()
                         .Call(client().tasks(), &v1::TaskService::Stub::DeleteAnnotation, deletion)
                         .status()),
            "ANNOTATION_NOT_FOUND");
  v1::GetProjectRequest project;
  project.set_name(project_);
  auto counts = client().Call(client().projects(), &v1::ProjectService::Stub::GetProject, project);
  ASSERT_OK(counts);
  EXPECT_EQ(counts->counts().completed(), 1);
}

TEST_F(ArchiveTest, ACancelledTaskStaysCancelledThroughAnEmptyRedis) {
  const std::string task = Submit(project_, 0, 1, "one").at(0);
  ASSERT_OK(Cancel(task));
  ASSERT_TRUE(Leaves(task));
  ASSERT_OK(Cancel(task)) << "cancelling twice is cancelling once";
  ASSERT_OK(cluster().Kill(cli::kRedis, /*stay_down=*/true));
  ASSERT_OK(cluster().EraseRedis());
  ASSERT_OK(cluster().StartOne(cli::kRedis));
  v1::Task now;
  ASSERT_TRUE(Eventually(absl::Seconds(20), [&] {
    auto got = Get(task);
    if (got.ok()) now = *got;
    return got.ok() && cluster().WaitReady(absl::Seconds(10)).ok();
  }));
  EXPECT_EQ(now.state(), v1::Task::CANCELLED);
  EXPECT_EQ(Submit(project_, 0, 1, "one").at(0), task) << "its request id is kept";
}

}  // namespace
}  // namespace fairlead::e2e
