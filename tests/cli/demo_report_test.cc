#include "scheduler/cli/demo_report.h"

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/cli/demo_run.h"

namespace fairlead::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// `count` items whose answers fall from `first` to `last` by fifths.
DemoPass Pass(int count, int first, int last) {
  DemoPass pass;
  for (int i = 0; i < count; ++i) {
    DemoItem item;
    item.completed = true;
    item.right = i % 50 != 0;
    item.answers = i * 5 / count == 4 ? last : first;
    pass.items.push_back(item);
  }
  pass.submitted = pass.completed = count + 200;
  return pass;
}

TEST(DemoReportTest, TheObjectHasExactlyTheDocumentedKeys) {
  DemoPass on = Pass(2000, 3, 1);
  on.exact_match_by_version = {0.3, 0.7, 0.9};
  on.reward_pair_accuracy = 0.75;
  on.completed -= 1;
  const auto json = DemoJson(on, Pass(2000, 3, 2), absl::Seconds(123.4));
  std::vector<std::string> keys;
  for (const auto& [key, value] : json.items()) keys.push_back(key);
  EXPECT_THAT(keys,
              ElementsAre("tasks_submitted", "tasks_completed", "tasks_lost", "label_accuracy",
                          "answers_per_task_first_fifth", "answers_per_task_last_fifth",
                          "answers_per_task_last_fifth_prelabels_off", "versions_promoted",
                          "exact_match_by_version", "reward_pair_accuracy", "seconds"));
  EXPECT_EQ(json["tasks_submitted"], 2200);
  EXPECT_EQ(json["tasks_lost"], 1);
  EXPECT_EQ(json["label_accuracy"], 0.98);
  EXPECT_EQ(json["answers_per_task_first_fifth"], 3.0);
  EXPECT_EQ(json["answers_per_task_last_fifth"], 1.0);
  EXPECT_EQ(json["answers_per_task_last_fifth_prelabels_off"], 2.0);
  EXPECT_EQ(json["versions_promoted"], 3);
  EXPECT_EQ(json["seconds"], 123.4);
}

TEST(DemoReportTest, FifthsGoByOrderOfSubmissionAndLeaveOutWhatIsOpen) {
  std::vector<DemoItem> items(10);
  for (size_t i = 0; i < 10; ++i) {
    items[i].completed = true;
    items[i].answers = static_cast<int>(i);
  }
  EXPECT_EQ(AnswersOfFifth(items, 0), 0.5);
  EXPECT_EQ(AnswersOfFifth(items, 4), 8.5);
  items[9].completed = false;
  EXPECT_EQ(AnswersOfFifth(items, 4), 8);
  EXPECT_EQ(AnswersOfFifth({}, 4), 0);
}

std::vector<std::string> Missed(const DemoPass& on, const DemoPass& off, absl::Duration total) {
  std::vector<std::string> missed;
  for (const DemoBound& bound : CheckBounds(on, off, total)) {
    if (!bound.reached) missed.push_back(bound.what);
  }
  return missed;
}

TEST(DemoReportTest, BoundsAreReachedAndMissedWhereTheyShould) {
  DemoPass on = Pass(2000, 3, 1);
  on.exact_match_by_version = {0.3, 0.7, 0.9};
  on.reward_pair_accuracy = 0.6;
  on.reward_pairs = 1000;
  const DemoPass off = Pass(2000, 3, 2);
  EXPECT_THAT(Missed(on, off, absl::Seconds(250)), ElementsAre());
  EXPECT_THAT(Missed(on, off, absl::Seconds(301)), ElementsAre("seconds"));
  EXPECT_THAT(Missed(Pass(2000, 3, 2), off, absl::Seconds(1)),
              ElementsAre("models promoted", "answers a task, last fifth", "reward pair accuracy"));
  on.reward_pair_accuracy = 0.54;
  EXPECT_THAT(Missed(on, off, absl::Seconds(1)), ElementsAre("reward pair accuracy"));
}

TEST(DemoReportTest, TableSaysWhenFiguresBindNothing) {
  const std::string table = DemoTable(Pass(100, 3, 1), Pass(100, 3, 2), absl::Seconds(1), false);
  EXPECT_THAT(table, HasSubstr("not binding"));
  EXPECT_THAT(table, ::testing::Not(HasSubstr("MISSED")));
}

TEST(DemoReportTest, PlotHasBothPasses) {
  DemoPass on = Pass(500, 3, 1);
  on.exact_match_by_version = {0.5, 0.8};
  const auto plot = DemoPlot(on, Pass(500, 3, 2));
  ASSERT_TRUE(plot.ok()) << plot.status();
  EXPECT_THAT(*plot, HasSubstr("<svg"));
  EXPECT_THAT(*plot, HasSubstr("with models"));
  EXPECT_THAT(*plot, HasSubstr("training and prelabels off"));
}

TEST(DemoReportTest, WavesSplitEverythingOnce) {
  EXPECT_EQ(WaveBegin(2000, 0, 5), 0u);
  EXPECT_EQ(WaveBegin(2000, 1, 5), 400u);
  EXPECT_EQ(WaveBegin(203, 4, 4), 203u);
  EXPECT_EQ(WaveBegin(203, 9, 4), 203u);
}

TEST(DemoReportTest, CountsPairsWhoseBetterReplyScoresHigher) {
  const auto line = [](const char* chosen, const char* rejected) {
    return absl::StrCat("{\"score_chosen\":", chosen, ",\"score_rejected\":", rejected, "}\n");
  };
  const auto score = ParsePairScores(
      absl::StrCat(line("2", "1"), line("-1.5", "0"), line("3e0", "3"), line("1", "0.5")));
  ASSERT_TRUE(score.ok()) << score.status();
  EXPECT_EQ(score->pairs, 4);
  EXPECT_EQ(score->accuracy, 2.5 / 4);
  EXPECT_FALSE(ParsePairScores("").ok());
  EXPECT_FALSE(ParsePairScores("1\n").ok());
  EXPECT_FALSE(ParsePairScores("{\"error\":\"x\"}\n").ok());
}

}  // namespace
}  // namespace fairlead::cli
