#include "scheduler/cli/task_lines.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead::cli {
namespace {

using ::testing::HasSubstr;

std::string ProblemOf(const std::string& text) {
  const auto lines = ParseTaskLines(text, "tasks.jsonl");
  return lines.ok() ? "" : std::string(lines.status().message());
}

TEST(TaskLinesTest, ReadsEveryPayload) {
  const auto lines = ParseTaskLines(
      "{\"image\": \"a.png\", \"external_id\": \"x\", \"group\": \"g\", \"priority\": 3}\n"
      "{\"blob\": \"00ff\"}\n"
      "{\"class_text\": \"hello\", \"answer\": \"greeting\"}\n"
      "{\"rating_text\": \"hello\", \"answer\": 3.5}\n"
      "{\"prompt\": \"p\", \"response_a\": \"a\", \"response_b\": \"b\", \"answer\": \"b\"}\n"
      "\n"
      "{\"prompt\": \"p\", \"responses\": [\"a\", \"b\"], \"answer\": [1, 0]}\n"
      "{\"prompt\": \"write\", \"start_time\": \"2026-01-31T12:00:00Z\"}\n",
      "tasks.jsonl");
  ASSERT_TRUE(lines.ok()) << lines.status();
  ASSERT_EQ(lines->size(), 7u);
  EXPECT_EQ((*lines)[0].image_file, "a.png");
  EXPECT_EQ((*lines)[0].task.external_id(), "x");
  EXPECT_EQ((*lines)[0].task.group(), "g");
  EXPECT_EQ((*lines)[0].task.priority(), 3);
  const v1::TaskKind kinds[] = {v1::TASK_KIND_IMAGE_TEXT, v1::TASK_KIND_IMAGE_TEXT,
                                v1::TASK_KIND_CLASS,      v1::TASK_KIND_RATING,
                                v1::TASK_KIND_PAIR,       v1::TASK_KIND_RANKING,
                                v1::TASK_KIND_FREE_TEXT};
  for (size_t i = 0; i < 7; ++i) EXPECT_EQ(KindOf((*lines)[i].task.payload()), kinds[i]) << i;
  EXPECT_EQ((*lines)[2].answer->class_name(), "greeting");
  EXPECT_EQ((*lines)[3].answer->rating(), 3.5);
  EXPECT_EQ((*lines)[4].answer->preferred(), v1::Answer::SIDE_B);
  EXPECT_EQ((*lines)[5].answer->order().best_first(0), 1);
  EXPECT_EQ((*lines)[5].line, 7);
  EXPECT_EQ((*lines)[6].task.start_time().seconds(), 1769860800);
}

TEST(TaskLinesTest, NamesFileLineAndProblem) {
  EXPECT_THAT(ProblemOf("{\"blob\": \"1\"}\nnot json\n"), HasSubstr("tasks.jsonl:2: not a JSON"));
  EXPECT_THAT(ProblemOf("{\"group\": \"g\"}"), HasSubstr("tasks.jsonl:1: no payload"));
  EXPECT_THAT(ProblemOf("{\"blob\": 1}"), HasSubstr("tasks.jsonl:1: \"blob\" must be a string"));
  EXPECT_THAT(ProblemOf("{\"blob\": \"1\", \"image\": \"a\"}"), HasSubstr("one payload too many"));
  EXPECT_THAT(ProblemOf("{\"blob\": \"1\", \"imagee\": \"a\"}"),
              HasSubstr("\"imagee\" is unknown"));
  EXPECT_THAT(ProblemOf("{\"blob\": \"1\", \"priority\": 10}"),
              HasSubstr("\"priority\" must be 0–9"));
  EXPECT_THAT(ProblemOf("{\"response_a\": \"a\"}"), HasSubstr("\"response_b\" must be a string"));
  EXPECT_THAT(ProblemOf("{\"response_a\":\"a\",\"response_b\":\"b\",\"answer\":\"c\"}"),
              HasSubstr("\"answer\" must be \"a\", \"b\" or \"tie\""));
}

TEST(TaskLinesTest, ChosenStandsOnEitherSideAndIsTheAnswer) {
  std::set<int> sides;
  for (int i = 0; i < 32; ++i) {
    const auto line = ParseTaskLine(
        absl::StrCat("{\"prompt\":\"p", i, "\",\"chosen\":\"good\",\"rejected\":\"bad\"}"), "f", 1);
    ASSERT_TRUE(line.ok()) << line.status();
    const auto& pair = line->task.payload().pair();
    const bool a = line->answer->preferred() == v1::Answer::SIDE_A;
    EXPECT_EQ(a ? pair.response_a() : pair.response_b(), "good");
    EXPECT_EQ(a ? pair.response_b() : pair.response_a(), "bad");
    sides.insert(line->answer->preferred());
  }
  EXPECT_EQ(sides.size(), 2u);
}

}  // namespace
}  // namespace fairlead::cli
