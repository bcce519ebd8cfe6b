// What a new fairlead-trainer makes of a version's file, sound or not.
#include "worker/load_test.h"

#include <signal.h>

#include <fstream>
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/common/temp_directory.h"

namespace fairlead::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

void Write(const std::string& path, absl::string_view bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

class LoadTestTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.program = FAIRLEAD_TRAINER_BINARY;
    for (int i = 0; i < 300; ++i) {
      trainer::PreferenceItem item;
      item.id = absl::StrCat(i);
      item.prompt = absl::StrCat("question ", i % 17);
      item.responses = {absl::StrCat("gladly, \"", i % 5, "\"\n"), absl::StrCat("no, ", i % 7)};
      item.comparisons = {{0, 1, i % 10 == 0 ? 0.0 : 1.0}};
      pairs_.examples.push_back(item);
      if (i >= 200) pairs_.judged.push_back(item);
    }
    const auto trained = trainer::TrainReward(pairs_.examples, {}, model());
    ASSERT_TRUE(trained.ok()) << trained.status();
    scorer_ = trained->scorer;
  }
  std::string model() const { return directory_.File("model.safetensors"); }
  LoadTest Test() {
    const auto test = TestRewardFile(directory_.path(), *scorer_, pairs_, options_, context_);
    EXPECT_TRUE(test.ok()) << test.status();
    return test.value_or(LoadTest());
  }
  // A program that does this instead of loading the file.
  void TestWith(const std::string& script) {
    options_.program = directory_.File("program");
    Write(options_.program, absl::StrCat("#!/bin/sh\n", script, "\n"));
    ASSERT_EQ(chmod(options_.program.c_str(), 0700), 0);
  }

  TempDirectory directory_;
  Round<trainer::PreferenceItem> pairs_;
  std::shared_ptr<const trainer::RewardModel> scorer_;
  LoadTestOptions options_;
  JobContext context_;
};

TEST_F(LoadTestTest, ASoundFileGivesBackWhatIsInMemory) {
  const LoadTest test = Test();
  EXPECT_TRUE(test.passed()) << test.end.said;
  EXPECT_EQ(test.items, 50);
  std::map<std::string, double> metrics;
  test.AddTo(metrics);
  EXPECT_EQ(metrics.at("load_test"), 1);
  EXPECT_EQ(metrics.count("load_test.exit_code"), 0u);
}

TEST_F(LoadTestTest, ATornOrForeignFileIsRefused) {
  const std::string whole = *ReadFile(model());
  const std::vector<std::string> files = {"", whole.substr(0, whole.size() / 2),
                                          std::string(8, '\xff') + whole.substr(8), "no model"};
  for (const std::string& bytes : files) {
    Write(model(), bytes);
    const LoadTest test = Test();
    EXPECT_FALSE(test.passed());
    EXPECT_NE(test.end.exit_code, 0) << test.end.said;
    EXPECT_THAT(test.end.said, HasSubstr("model.safetensors"));
  }
}

TEST_F(LoadTestTest, AFileOfAnotherModelIsRefused) {
  for (trainer::PreferenceItem& item : pairs_.examples)
    std::swap(item.responses[0], item.responses[1]);
  ASSERT_TRUE(trainer::TrainReward(pairs_.examples, {}, model()).ok());
  const LoadTest test = Test();
  EXPECT_FALSE(test.passed());
  EXPECT_EQ(test.end.exit_code, 0);
  EXPECT_EQ(test.differing, test.items);
}

TEST_F(LoadTestTest, AProcessThatDiesHangsGrowsOrSaysNothingIsNamed) {
  std::map<std::string, double> metrics;
  TestWith("kill -SEGV $$");
  Test().AddTo(metrics);
  EXPECT_EQ(metrics.at("load_test.signal"), SIGSEGV);
  EXPECT_EQ(metrics.at("load_test"), 0);

  TestWith("exec tail -f /dev/null");
  options_.limits.time = absl::Milliseconds(100);
  Test().AddTo(metrics);
  EXPECT_EQ(metrics.at("load_test.timed_out"), 1);

  TestWith("x=$(head -c 4000000000 /dev/zero | tr '\\0' x)");
  options_.limits = {absl::Minutes(2), 64 << 20};
  Test().AddTo(metrics);
  EXPECT_EQ(metrics.at("load_test.out_of_memory"), 1);

  TestWith("exit 0");
  const LoadTest silent = Test();
  EXPECT_FALSE(silent.passed());
  EXPECT_EQ(silent.differing, 50);
}

TEST_F(LoadTestTest, WhatProvesNothingOfTheFileIsNoRefusal) {
  const auto ask = [&] {
    return TestRewardFile(directory_.path(), *scorer_, pairs_, options_, context_).status();
  };
  TestWith("kill -TERM $$");
  EXPECT_TRUE(absl::IsUnavailable(ask())) << ask();
  options_.program = directory_.File("missing");
  EXPECT_THAT(ask().message(), HasSubstr("missing"));
  TestWith("exec tail -f /dev/null");
  context_.Stop();
  EXPECT_TRUE(absl::IsCancelled(ask())) << ask();
}

}  // namespace
}  // namespace fairlead::worker
