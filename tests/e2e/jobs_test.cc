// The machine lane as operators see it: what keeps a job waiting, dead jobs, limits, workers. Real
// scheduler and Redis; the workers are sessions of this test's own.
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/queue/redis_job_queue.h"
#include "common/redis/connection.h"
#include "fairlead/v1/job_service.grpc.pb.h"
#include "tests/e2e/cluster_fixture.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class JobsTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    StartCluster(0);
    redis::RedisOptions options;
    options.address = absl::StrCat("unix:", cluster().redis_socket());
    pool_ = std::make_unique<redis::ConnectionPool>(options);
    lane_ = std::make_unique<queue::RedisJobQueue>(pool_.get(), "m0");
  }

  void Enqueue(const std::string& id, const std::string& device = "") {
    store::v1::JobRecord job;
    job.set_job(id);
    job.set_kind("train-ocr");
    job.set_tenant("acme");
    job.mutable_requirements()->set_device(device);
    ASSERT_OK(lane_->Enqueue(job, 0));
  }
  queue::TickResponse Tick(int want, const std::string& device = "cpu") {
    queue::TickRequest request;
    request.session = "worker-" + device;
    request.description = R"({"host":"alpha","pid":7})";
    request.kinds = {"train-ocr"};
    request.able.device = device;
    request.want = want;
    request.lease = absl::Minutes(5);
    absl::StatusOr<queue::TickResponse> response = lane_->Tick(request);
    EXPECT_OK(response);
    return response.ok() ? std::move(response).value() : queue::TickResponse();
  }
  v1::ExplainJobResponse Explain(const std::string& id) {
    v1::ExplainJobRequest request;
    request.set_name("jobs/" + id);
    auto response = op().Call(op().jobs(), &v1::JobService::Stub::ExplainJob, request);
    EXPECT_OK(response);
    return response.ok() ? *response : v1::ExplainJobResponse();
  }
  void Limit(const v1::JobLimits& limits) {
    v1::SetJobLimitsRequest request;
    request.set_flow("acme");
    *request.mutable_limits() = limits;
    EXPECT_OK(op().Call(op().jobs(), &v1::JobService::Stub::SetJobLimits, request));
  }
  std::vector<std::string> Dead(const std::string& text) {
    v1::SearchDeadJobsRequest request;
    request.set_text(text);
    auto found = op().Call(op().jobs(), &v1::JobService::Stub::SearchDeadJobs, request);
    EXPECT_OK(found);
    std::vector<std::string> names;
    if (found.ok()) {
      for (const auto& job : found->jobs()) names.push_back(job.name());
    }
    return names;
  }

  std::unique_ptr<redis::ConnectionPool> pool_;
  std::unique_ptr<queue::RedisJobQueue> lane_;
};

TEST_F(JobsTest, ExplainSaysWhatKeepsAJobFromRunning) {
  Enqueue("plain");
  EXPECT_THAT(Explain("plain").reason(), HasSubstr("no live worker can run train-ocr"));
  v1::JobLimits limits;
  limits.set_paused(true);
  Limit(limits);
  EXPECT_EQ(Explain("plain").state(), "ready");
  EXPECT_THAT(Explain("plain").reason(), HasSubstr("paused"));
  EXPECT_THAT(Tick(1).leases, SizeIs(0));
  limits.set_paused(false);
  limits.set_max_leased(1);
  Limit(limits);
  ASSERT_THAT(Tick(1).leases, SizeIs(1));
  EXPECT_EQ(Explain("plain").state(), "leased");
  EXPECT_THAT(Explain("plain").reason(), HasSubstr("worker-cpu"));
  Enqueue("second");
  EXPECT_THAT(Explain("second").reason(), HasSubstr("its cap is 1"));
  Limit(v1::JobLimits());
  EXPECT_THAT(Explain("second").reason(), HasSubstr("waits its turn"));
  Enqueue("gpu", "cuda");
  EXPECT_THAT(Explain("gpu").reason(), HasSubstr("no live worker can run"));
  EXPECT_THAT(Explain("gpu").requirements(), HasSubstr("device=cuda"));
  Tick(0, "cuda");
  EXPECT_THAT(Explain("gpu").reason(), HasSubstr("1 workers can run it"));
  v1::ExplainJobRequest unknown;
  unknown.set_name("jobs/nobody");
  const absl::Status nobody =
      op().Call(op().jobs(), &v1::JobService::Stub::ExplainJob, unknown).status();
  EXPECT_EQ(ReasonOf(nobody), "JOB_NOT_FOUND");
  EXPECT_THAT(std::string(nobody.message()), HasSubstr("no job nobody"));
}

TEST_F(JobsTest, DeadJobsAreFoundReplayedAndPurged) {
  for (const char* id : {"a", "b", "c"}) {
    Enqueue(id);
    ASSERT_OK(lane_->Cancel(id));
  }
  EXPECT_THAT(Dead("cancelled"), SizeIs(3));
  EXPECT_THAT(Dead("something else"), SizeIs(0));
  v1::ReplayDeadJobsRequest replay;
  replay.add_names("jobs/a");
  replay.add_names("jobs/nobody");
  auto replayed = op().Call(op().jobs(), &v1::JobService::Stub::ReplayDeadJobs, replay);
  ASSERT_OK(replayed);
  EXPECT_EQ(replayed->replayed(), 1);
  EXPECT_EQ(Explain("a").state(), "ready");
  v1::PurgeDeadJobsRequest purge;
  purge.add_names("jobs/b");
  auto purged = op().Call(op().jobs(), &v1::JobService::Stub::PurgeDeadJobs, purge);
  ASSERT_OK(purged);
  EXPECT_EQ(purged->purged(), 1);
  EXPECT_THAT(Dead(""), ::testing::ElementsAre("jobs/c"));
}

TEST_F(JobsTest, QueuesNameAWorkersHostAndDevice) {
  Enqueue("held");
  ASSERT_THAT(Tick(1).leases, SizeIs(1));
  auto queues = op().Call(op().admin(), &v1::AdminService::Stub::GetQueues, v1::GetQueuesRequest());
  ASSERT_OK(queues);
  ASSERT_THAT(queues->workers(), SizeIs(1));
  EXPECT_EQ(queues->workers(0).host(), "alpha");
  EXPECT_EQ(queues->workers(0).device(), "cpu");
  EXPECT_EQ(queues->workers(0).leased(), 1);
}

}  // namespace
}  // namespace fairlead::e2e
