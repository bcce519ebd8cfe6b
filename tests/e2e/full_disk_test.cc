// A whole cluster under load while a disk is full, Redis's or the scheduler's: a clear refusal,
// nothing that was acknowledged is lost (G1, G2, G4), and work goes on once there is room.
#include <gmock/gmock.h>

#include <memory>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/e2e/load.h"
#include "tests/support/eventually.h"
#include "tests/support/small_disk.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

using testing::Eventually;

constexpr int64_t kRoom = 24 << 20;
constexpr absl::Duration kPatience = absl::Seconds(30);

class FullDiskTest : public LoadTest {
 protected:
  void TearDown() override {
    if (disk_ != nullptr) disk_->Free().IgnoreError();  // Or nothing could stop in order.
    StopCluster();
    disk_.reset();
    LoadTest::TearDown();
  }
  // On a folder of the data directory.
  void Mount(const std::string& folder) {
    auto disk = testing::SmallDisk::Mount(directory() + "/" + folder, kRoom);
    if (absl::IsPermissionDenied(disk.status())) GTEST_SKIP() << disk.status().message();
    ASSERT_OK(disk);
    disk_ = *std::move(disk);
  }
  // Changes are refused for a reason that says so, within a while.
  void AwaitRefusal(const std::string& why) {
    absl::Status last;
    EXPECT_TRUE(Eventually(kPatience, [&] {
      last = client()
                 .Call(client().projects(), &v1::ProjectService::Stub::CreateProject,
                       ClassProject(absl::StrCat("probe-", ++probes_)), absl::ZeroDuration())
                 .status();
      return absl::IsUnavailable(last) &&
             (ReasonOf(last) == why || absl::StrContains(last.message(), why));
    })) << last;
  }

  std::unique_ptr<testing::SmallDisk> disk_;
  int probes_ = 0;
};

TEST_F(FullDiskTest, ARecordLogWithoutRoomRefusesAndGoesOn) {
  ASSERT_NO_FATAL_FAILURE(Mount("scheduler"));
  if (IsSkipped()) return;
  StartCluster(0);
  const auto full = [this] {
    ASSERT_OK(disk_->Fill());
    AwaitRefusal("RECORD_LOG_FULL");
  };
  RunLoad({{100,
            [&] {
              full();
              EXPECT_EQ(cluster().supervisor().Restarts(cli::kScheduler), 0) << "it waits";
              ASSERT_OK(disk_->Free());
            }},
           {240, [&] {
              full();
              // One that starts on a full disk waits as well.
              ASSERT_OK(cluster().Kill(cli::kScheduler));
              AwaitRefusal("RECORD_LOG_FULL");
              ASSERT_OK(disk_->Free());
            }}});
}

TEST_F(FullDiskTest, ARedisWithoutRoomForItsFileRefusesAndGoesOn) {
  ASSERT_NO_FATAL_FAILURE(Mount("redis"));
  if (IsSkipped()) return;
  StartCluster(0);
  const auto full = [this] {
    ASSERT_OK(disk_->Fill());
    AwaitRefusal("MISCONF");
  };
  RunLoad({{100,
            [&] {
              full();
              ASSERT_OK(disk_->Free());
            }},
           {240, [&] {
              full();
              // What Redis had answered and not written is gone with it; the record log has it.
              ASSERT_OK(cluster().Kill(cli::kRedis));
              ASSERT_OK(disk_->Free());
            }}});
}

}  // namespace
}  // namespace fairlead::e2e
