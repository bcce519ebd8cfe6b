// The folder that `fairlead replay` reads: what counts, what is dropped and counted, what is
// refused.
#include "scheduler/cli/replay_files.h"

#include <cmath>
#include <fstream>
#include <string>

#include "gtest/gtest.h"
#include "tests/common/temp_directory.h"

namespace fairlead::cli {
namespace {

class ReplayFilesTest : public testing::Test {
 protected:
  absl::StatusOr<ReplayFiles> Read(const std::string& labels, const std::string& truth) {
    std::ofstream(directory_.path() + "/labels.csv") << labels;
    std::ofstream(directory_.path() + "/truth.csv") << truth;
    return ReadReplayFiles(directory_.path());
  }
  TempDirectory directory_;
};

TEST_F(ReplayFilesTest, DropsRepeatsAndTruthOfTasksThatNobodyAnswered) {
  const auto files = Read(
      "task,worker,label,time_s\n"
      "t1,ann,cat,3\n"
      "t1,bob,dog,\n"
      "t1,ann,dog,9\n"
      "t2,bob,cat,4.5\n",
      "task,label\nt1,bird\nt9,cat\n");
  ASSERT_TRUE(files.ok()) << files.status();
  EXPECT_EQ(files->repeats, 1);
  EXPECT_EQ(files->unknown_tasks, 1);
  const replay::ReplaySet& set = files->set;
  EXPECT_EQ(set.tasks, 2);
  EXPECT_EQ(set.contractors, 2);
  EXPECT_EQ(set.classes, 3) << "the truth that nobody answered is a class too";
  ASSERT_EQ(set.answers.size(), 3u);
  EXPECT_EQ(set.answers[0].seconds, 3);
  EXPECT_TRUE(std::isnan(set.answers[1].seconds));
  EXPECT_EQ(set.truth[1], replay::kNoTruth);
}

TEST_F(ReplayFilesTest, NamesTheFileAndTheLine) {
  const auto broken = Read("task,worker,label\nt1,ann,cat\nt1,,cat\n", "task,label\nt1,cat\n");
  EXPECT_NE(broken.status().message().find("labels.csv:3"), std::string::npos) << broken.status();
  const auto headless = Read("task,worker,label\nt1,ann,cat\n", "id,label\nt1,cat\n");
  EXPECT_NE(headless.status().message().find("truth.csv:1"), std::string::npos)
      << headless.status();
  EXPECT_TRUE(absl::IsNotFound(ReadReplayFiles(directory_.path() + "/none").status()));
}

}  // namespace
}  // namespace fairlead::cli
