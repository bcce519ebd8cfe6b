// Memory of the machine lane: what a long run leaves behind in Redis is what a short one does.
//   FAIRLEAD_SOAK_JOBS=30000  jobs from enqueue to the end of their retention (the default)
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/redis/keys.h"
#include "tests/queue/lane_fixture.h"
#include "tests/sim/environment.h"
#include "tests/support/status_matchers.h"

namespace fairlead::queue {
namespace {

constexpr int kWarmUp = 10'000;  // Jobs.
constexpr int kFlows = 50;
constexpr int64_t kSlack = 4 << 20;  // Bytes; or a tenth, whichever is more.

class LaneSoakTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::RedisServerOptions options;
    options.append_only = false;
    lane_ = RedisLane::Create(options);
    ASSERT_NE(lane_, nullptr);
  }

  absl::Status Enqueue(int count) {
    std::vector<NewJob> jobs(static_cast<size_t>(count));
    for (NewJob& job : jobs) {
      job.record.set_job(absl::StrCat("job-", ++serial_));
      job.record.set_kind(serial_ % 3 == 0 ? "prelabel-ocr" : "train-ocr");
      job.record.set_model(absl::StrCat("acme/p", serial_ % kFlows));
      if (serial_ % 7 == 0) job.priority = 1;
      if (serial_ % 11 == 0) job.deadline = lane_->clock().Now() + absl::Hours(1);
      if (serial_ % 13 == 0) job.start = lane_->clock().Now() + absl::Seconds(1);
    }
    RETURN_IF_ERROR(lane_->queue().EnqueueBatch(jobs).status());
    for (int i = 0; i < count; i += 100) {
      RETURN_IF_ERROR(lane_->queue().Cancel(jobs[static_cast<size_t>(i)].record.job()));
    }
    return absl::OkStatus();
  }
  // Works until nothing is left, with everything that can befall a job: notes, failures,
  // hand-backs, a worker that goes away.
  absl::Status Work() {
    std::string session = absl::StrCat("s", ++serial_);
    TickRequest request = MakeTick(session, kMaxBatch);
    for (int turn = 1, idle = 0; idle < 3; ++turn) {
      ASSIGN_OR_RETURN(const TickResponse response, lane_->queue().Tick(request));
      request = MakeTick(session, kMaxBatch);
      const std::vector<Lease>& leases = response.leases;
      idle = leases.empty() ? idle + 1 : 0;
      for (size_t i = 0; i < leases.size(); ++i) {
        if (i % 20 == 0) request.progress.push_back({leases[i].token, "half way"});
        if (i % 50 == 1) {
          request.nacks.push_back({leases[i].token, "no", /*preempted=*/turn % 2 == 0});
        } else {
          request.acks.emplace_back().token = leases[i].token;
          request.acks.back().result.set_artefact_blob(std::string(64, 'a'));
        }
      }
      if (turn % 20 == 0 || idle > 0) lane_->clock().Advance(absl::Seconds(idle > 0 ? 400 : 11));
      if (turn % 20 == 0 || idle > 0) session = absl::StrCat("s", ++serial_);
      if (request.session != session) request = MakeTick(session, kMaxBatch);
      RETURN_IF_ERROR(lane_->queue().Reap(100).status());
    }
    // What the follower does behind the log.
    return lane_->pool().Call({"XTRIM", redis::EventsKey("m0"), "MAXLEN", "~", "100"}).status();
  }
  // `count` jobs from their enqueue to their end, then everything that time takes away.
  absl::Status Run(int count) {
    for (int done = 0; done < count; done += kMaxEnqueue) {
      RETURN_IF_ERROR(Enqueue(kMaxEnqueue));
      RETURN_IF_ERROR(Work());
    }
    lane_->clock().Advance(absl::Hours(24 * 8));
    for (int i = 0; i <= count / 100; ++i) {
      RETURN_IF_ERROR(lane_->queue().Reap(100).status());
      ASSIGN_OR_RETURN(const redis::Reply left, lane_->pool().Call({"HLEN", redis::JobsKey("m0")}));
      if (left.AsInt() == 0) return absl::OkStatus();
    }
    return absl::InternalError("ended jobs stay although their retention has passed");
  }
  int64_t UsedMemory() {
    lane_->pool().Call({"MEMORY", "PURGE"}).IgnoreError();
    const auto text = lane_->pool().Call({"INFO", "memory"});
    EXPECT_OK(text);
    int64_t used = 0;
    for (absl::string_view line : absl::StrSplit(text->text, "\r\n")) {
      if (absl::ConsumePrefix(&line, "used_memory:") && !absl::SimpleAtoi(line, &used)) return -1;
    }
    return used;
  }

  std::unique_ptr<RedisLane> lane_;
  int serial_ = 0;
};

TEST_F(LaneSoakTest, MemoryIsBoundedByOpenWorkNotByHistory) {
  const int jobs = static_cast<int>(sim::FromEnvironment("FAIRLEAD_SOAK_JOBS", 30'000));
  ASSERT_OK(Run(kWarmUp));
  const int64_t before = UsedMemory();
  ASSERT_OK(Run(jobs));
  const int64_t after = UsedMemory();
  std::printf("used_memory %lld after %d jobs, %lld after %d more\n",
              static_cast<long long>(before), kWarmUp, static_cast<long long>(after), jobs);
  EXPECT_LE(after, before + std::max(kSlack, before / 10));
  // In a short run little memory is little proof: so what is left is counted, too.
  const auto fields = lane_->pool().Call({"HLEN", redis::LaneStateKey("m0")});
  ASSERT_OK(fields);
  EXPECT_LE(fields->AsInt(), 8 * kFlows);
}

}  // namespace
}  // namespace fairlead::queue
