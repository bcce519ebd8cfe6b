// Twenty kills of a training process, half of them while a checkpoint is being written: the model
// has the bytes of the run that nobody killed.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "tests/support/eventually.h"
#include "tests/trainer/portal_images.h"
#include "trainer/checkpoint/safetensors.h"

namespace fairlead::trainer {
namespace {

namespace fs = std::filesystem;

class KillsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "trainer_kills";
    fs::remove_all(folder_);
    PortalImages images(5);
    fs::create_directories(folder_ + "/data/train");
    fs::create_directories(folder_ + "/data/val");
    std::ofstream labels(folder_ + "/data/labels.tsv");
    for (int i = 0; i < 80; ++i) {
      const OcrExample one = images.Draw(4, 4, Split::kTrain);
      const std::string name = (i % 4 == 0 ? "val/" : "train/") + one.id + ".png";
      std::ofstream(folder_ + "/data/" + name, std::ios::binary) << *EncodePng(one.image);
      labels << name << '\t' << one.text << '\n';
    }
  }
  void TearDown() override { fs::remove_all(folder_); }

  pid_t Start(const std::string& out) {
    std::vector<std::string> words = {FAIRLEAD_TRAINER_BINARY,
                                      "train",
                                      "ocr",
                                      "--data",
                                      folder_ + "/data",
                                      "--out",
                                      out,
                                      "--variant",
                                      "tiny",
                                      "--head",
                                      "flat",
                                      "--epochs",
                                      "60",
                                      "--resume",
                                      "--checkpoint-seconds",
                                      "0"};
    const pid_t child = fork();
    if (child == 0) {
      std::vector<char*> arguments;
      for (std::string& word : words) arguments.push_back(word.data());
      arguments.push_back(nullptr);
      execv(arguments[0], arguments.data());
      _exit(127);
    }
    return child;
  }

  // Files of the run's checkpoint folder whose names end so.
  int Count(const std::string& out, const std::string& ending) {
    int count = 0;
    std::error_code error;
    for (fs::directory_iterator it(out + "/checkpoints", error), end; !error && it != end;
         it.increment(error)) {
      count += absl::EndsWith(it->path().string(), ending) ? 1 : 0;
    }
    return count;
  }

  // What kills left half written, so that Count tells of the next one only.
  void RemoveUnfinished(const std::string& out) {
    std::vector<fs::path> unfinished;
    std::error_code error;
    for (fs::directory_iterator it(out + "/checkpoints", error), end; !error && it != end;
         it.increment(error)) {
      if (absl::EndsWith(it->path().string(), ".tmp")) unfinished.push_back(it->path());
    }
    for (const fs::path& path : unfinished) fs::remove(path);
  }

  // The newest checkpoint's name tells its step.
  std::string Newest(const std::string& out) {
    std::string newest;
    std::error_code error;
    for (fs::directory_iterator it(out + "/checkpoints", error), end; !error && it != end;
         it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (absl::EndsWith(name, ".safetensors")) newest = std::max(newest, name);
    }
    return newest;
  }

  std::string folder_;
};

TEST_F(KillsTest, TwentyKillsLeaveTheBytesOfTheUnbrokenRun) {
  int status = 0;
  const std::string unbroken = folder_ + "/unbroken", killed = folder_ + "/killed";
  ASSERT_EQ(waitpid(Start(unbroken), &status, 0) > 0 && WIFEXITED(status), true);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  PhiloxStream stream(11, 0, 0, 0);
  int inside_a_write = 0;
  for (int kill_number = 0; kill_number < 20; ++kill_number) {
    const std::string before = Newest(killed);
    RemoveUnfinished(killed);
    const pid_t child = Start(killed);
    const bool in_write = kill_number % 2 == 0;
    // At least one checkpoint further, so that the run ends; then a few looks more, at random.
    uint32_t looks = stream.Below(8);
    ASSERT_TRUE(fairlead::testing::Eventually(absl::Minutes(5), [&] {
      if (Newest(killed) <= before) return false;
      return in_write ? Count(killed, ".tmp") > 0 : looks-- == 0;
    }));
    inside_a_write += Count(killed, ".tmp") > 0 ? 1 : 0;
    kill(child, SIGKILL);
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the training ended before kill " << kill_number;
  }
  EXPECT_GE(inside_a_write, 5);
  ASSERT_EQ(waitpid(Start(killed), &status, 0) > 0 && WIFEXITED(status), true);
  ASSERT_EQ(WEXITSTATUS(status), 0);
  EXPECT_EQ(Sha256Hex(*ReadWholeFile(killed + "/model.safetensors")),
            Sha256Hex(*ReadWholeFile(unbroken + "/model.safetensors")));
}

}  // namespace
}  // namespace fairlead::trainer
