// What every TaskStore must do, run over the twin in memory, a real Redis, and a cluster node with
// functions that may touch declared keys only: what the suite's files share.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"

namespace fairlead::store {

using ::fairlead::v1::Task;
using ::testing::ElementsAre;
using v1::Placement;

inline constexpr absl::Duration kOfferWindow = absl::Seconds(60);
inline constexpr absl::Duration kWorkWindow = absl::Minutes(10);

class TaskStoreContractTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override {
    backend_ = SharedBackend(GetParam());
    ASSERT_NE(backend_, nullptr);
    ASSERT_OK(store().PutProject(MakeProject(), 0));
  }

  TaskStore& store() { return backend_->store(); }
  void Advance(absl::Duration by) { backend_->clock().Advance(by); }
  static TaskRef Ref(const std::string& id) { return {kProject, id}; }

  void Submit(const std::string& id, int32_t want = 2) {
    const auto submitted =
        store().Submit(kProject, "r-" + id, "h", {MakeTask(id, backend_->NowMs(), want)});
    ASSERT_OK(submitted);
    EXPECT_THAT(submitted->tasks, ElementsAre(id));
  }
  bool Offer(const std::string& id, const std::string& who, const std::string& token, int over = 0,
             int spare = 0, bool from_overdue = false) {
    const auto valid = store().Offer(
        store().topology().ShardOf(kProject),
        {{Ref(id), who, "as-" + who, token, kOfferWindow, kWorkWindow, over, spare, from_overdue}});
    EXPECT_OK(valid);
    return valid.ok() && valid->at(0);
  }
  // Offered and accepted under token "t-<who>".
  void Take(const std::string& id, const std::string& who) {
    ASSERT_TRUE(Offer(id, who, "t-" + who));
    ASSERT_OK(store().Accept(Ref(id), who, "t-" + who));
  }
  absl::StatusOr<Annotated> Answer(const std::string& id, const std::string& who) {
    return store().Annotate(Ref(id), who, "t-" + who, MakeAnnotation(id, who, "t-" + who));
  }
  absl::StatusOr<uint64_t> Release(const std::string& id, const std::string& who,
                                   Placement::State to) {
    return store().Release(Ref(id), who, "t-" + who, to, "why");
  }
  TaskState Get(const std::string& id) {
    auto state = store().Load(Ref(id));
    EXPECT_OK(state);
    return state.ok() ? *std::move(state) : TaskState();
  }
  Placement::State PlaceOf(const std::string& id, const std::string& who) {
    for (const Placement& place : Get(id).places) {
      if (place.contractor() == who) return place.state();
    }
    return Placement::STATE_UNSPECIFIED;
  }
  void ExpectReason(const absl::Status& status, absl::StatusCode code, const std::string& reason) {
    EXPECT_EQ(status.code(), code) << status;
    EXPECT_EQ(ReasonOf(status), reason) << status;
  }
  void ExpectLost(const absl::Status& status) {
    ExpectReason(status, absl::StatusCode::kAborted, "LEASE_LOST");
  }
  // G4: what was submitted is somewhere, once; counted as the tasks at hand are.
  void ExpectCounts(const ProjectCounts& want) {
    const auto is = store().Counts(kProject);
    ASSERT_OK(is);
    EXPECT_THAT(
        std::vector<int64_t>({is->submitted, is->ready, is->delayed, is->open, is->completed,
                              is->cancelled, is->expired, is->dead, is->annotations}),
        ElementsAre(want.submitted, want.ready, want.delayed, want.open, want.completed,
                    want.cancelled, want.expired, want.dead, want.annotations));
  }

  TaskBackend* backend_ = nullptr;
};

}  // namespace fairlead::store
