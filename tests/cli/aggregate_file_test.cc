// `fairlead aggregate` on files: what is read, what is written, what is refused and how it is
// named.
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "gtest/gtest.h"
#include "scheduler/cli/aggregate_file.h"
#include "scheduler/cli/csv.h"
#include "tests/common/temp_directory.h"

namespace fairlead::cli {
namespace {

class AggregateFileTest : public testing::Test {
 protected:
  std::string Write(const std::string& name, const std::string& text) {
    const std::string path = directory_.path() + "/" + name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string Read(const std::string& name) {
    std::stringstream text;
    text << std::ifstream(directory_.path() + "/" + name).rdbuf();
    return text.str();
  }
  AggregateOptions Options(const std::string& labels) {
    AggregateOptions options;
    options.labels = Write("labels.csv", labels);
    options.out = directory_.path() + "/out.csv";
    return options;
  }
  std::string ErrorOf(const std::string& labels, const std::string& kind = "") {
    AggregateOptions options = Options(labels);
    options.kind = kind;
    const auto result = AggregateFile(options);
    return result.ok() ? "" : std::string(result.status().message());
  }

  TempDirectory directory_;
};

TEST_F(AggregateFileTest, LabelsInOrderOfTasksAndCountsRepeats) {
  const auto summary =
      AggregateFile(Options("worker,seconds,label,task\r\n"
                            "ann,3,cat,t2\r\n"
                            "bob,4,cat,t2\r\n"
                            "ann,9,dog,t2\r\n"
                            "ann,2,\"a, \"\"b\"\"\",t1\r\n"));
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->kind, "class");
  EXPECT_EQ(summary->tasks, 2);
  EXPECT_EQ(summary->answers, 3);
  EXPECT_EQ(summary->repeats_dropped, 1);
  const std::string out = Read("out.csv");
  EXPECT_EQ(out.rfind("task,label,confidence\nt2,cat,", 0), 0u) << out;
  EXPECT_NE(out.find("\nt1,\"a, \"\"b\"\"\",0."), std::string::npos) << out;
}

TEST_F(AggregateFileTest, GoldIsPinnedAndUnknownTasksAreCounted) {
  AggregateOptions options = Options("task,worker,label\n1,a,x\n1,b,x\n2,a,y\n");
  options.gold = Write("gold.csv", "task,label\n1,z\n9,x\n");
  const auto summary = AggregateFile(options);
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->gold_tasks, 1);
  EXPECT_EQ(summary->gold_unknown_tasks, 1);
  EXPECT_EQ(summary->classes, 3);
  EXPECT_NE(Read("out.csv").find("1,z,1.000000\n"), std::string::npos);
}

TEST_F(AggregateFileTest, TextsByTheirColumn) {
  const auto summary = AggregateFile(
      Options("task,worker,text\n1,a,the cat sat on a mat\n1,b,\"the cat sat, on a mat\"\n"
              "1,c,the bat sat on a mat\n2,a,\"one two\nthree four\"\n"));
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->kind, "text");
  EXPECT_EQ(summary->method, "rover");
  const std::string out = Read("out.csv");
  EXPECT_NE(out.find("cat sat"), std::string::npos) << out;
  EXPECT_NE(out.find("2,\"one two\nthree four\","), std::string::npos) << out;
}

TEST_F(AggregateFileTest, Ratings) {
  AggregateOptions options = Options("task,worker,label\n1,a,10\n1,b,20\n2,a,5\n2,b,15.0\n");
  options.kind = "rating";
  options.method = "mean";
  ASSERT_TRUE(AggregateFile(options).ok());
  EXPECT_EQ(Read("out.csv").rfind("task,label,confidence\n1,15,", 0), 0u) << Read("out.csv");
}

TEST_F(AggregateFileTest, ErrorsNameFileAndLine) {
  EXPECT_NE(ErrorOf("").find("labels.csv: empty"), std::string::npos);
  EXPECT_NE(ErrorOf("task,worker,label\n").find("no answers"), std::string::npos);
  EXPECT_NE(ErrorOf("task,label\n1,x\n").find("labels.csv:1: no column 'worker'"),
            std::string::npos);
  EXPECT_NE(ErrorOf("task,worker,label\n1,a,x\n1,b\n").find("labels.csv:3: 2 fields"),
            std::string::npos);
  EXPECT_NE(ErrorOf("task,worker,label\n1,a,x\n\n1,,x\n").find("labels.csv:4: the worker is empty"),
            std::string::npos);
  EXPECT_NE(ErrorOf("task,worker,label\n1,a,\n").find("labels.csv:2: the label is empty"),
            std::string::npos);
  EXPECT_NE(ErrorOf("task,worker,label\n1,a,\"x\n1,b,y\n").find("labels.csv:2: a double quote"),
            std::string::npos);
  EXPECT_NE(ErrorOf("task,worker,label\n1,a,\"x\"y\n").find("labels.csv:2: text after"),
            std::string::npos);
  EXPECT_NE(ErrorOf("task,worker,label\n1,a,5\n1,b,nan\n", "rating").find("labels.csv:3: "),
            std::string::npos);
  EXPECT_NE(ErrorOf("task,worker,label\n1,a,5\n", "video").find("no kind 'video'"),
            std::string::npos);
  EXPECT_TRUE(Read("out.csv").empty());
  AggregateOptions options = Options("task,worker,label\n1,a,x\n");
  options.method = "best";
  EXPECT_NE(AggregateFile(options).status().message().find("hds"), std::string::npos);
  options.method = "auto";
  options.gold = Write("gold.csv", "task,label\n1,x\n1,y\n");
  EXPECT_NE(AggregateFile(options).status().message().find("gold.csv:3: "), std::string::npos);
  options.labels = directory_.path() + "/none.csv";
  EXPECT_EQ(AggregateFile(options).status().code(), absl::StatusCode::kNotFound);
}

TEST_F(AggregateFileTest, RowsAcrossTheReadersBuffer) {
  std::string text = "task,worker,label\n";
  for (int i = 0; i < 60'000; ++i)
    text += std::to_string(i / 3) + "," + std::to_string(i % 3) + ",x\n";
  const auto summary = AggregateFile(Options(text));
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->answers, 60'000);
  EXPECT_EQ(summary->tasks, 20'000);
}

TEST(CsvFieldTest, QuotesWhatMustBe) {
  EXPECT_EQ(CsvField("plain text"), "plain text");
  EXPECT_EQ(CsvField("a,b"), "\"a,b\"");
  EXPECT_EQ(CsvField("say \"x\""), "\"say \"\"x\"\"\"");
}

}  // namespace
}  // namespace fairlead::cli
