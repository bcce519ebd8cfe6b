#include "scheduler/cli/labels.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace fairlead::cli {
namespace {

using ::testing::HasSubstr;

std::string ProblemOf(const std::string& text) {
  const auto labels = ParseLabels(text, "labels.tsv");
  return labels.ok() ? "" : std::string(labels.status().message());
}

TEST(LabelsTest, ReadsFileAndTextAndRemembersTheLine) {
  const auto labels = ParseLabels("a.png\t10.00\n\nb/c.jpg\tTotal: 5\r\n", "labels.tsv");
  ASSERT_TRUE(labels.ok()) << labels.status();
  ASSERT_EQ(labels->size(), 2u);
  EXPECT_EQ((*labels)[0].file, "a.png");
  EXPECT_EQ((*labels)[0].text, "10.00");
  EXPECT_EQ((*labels)[0].line, 1);
  EXPECT_EQ((*labels)[1].file, "b/c.jpg");
  EXPECT_EQ((*labels)[1].text, "Total: 5");
  EXPECT_EQ((*labels)[1].line, 3);
}

TEST(LabelsTest, NamesFileAndLineOfAMissingColumn) {
  EXPECT_THAT(ProblemOf("a.png\t1\nb.png\n"), HasSubstr("labels.tsv:2: a column is missing"));
}

TEST(LabelsTest, RefusesWhatIsAmbiguous) {
  EXPECT_THAT(ProblemOf("a.png\t1\t2\n"), HasSubstr("labels.tsv:1: more than two"));
  EXPECT_THAT(ProblemOf("\t1\n"), HasSubstr("labels.tsv:1: the file name is empty"));
  EXPECT_THAT(ProblemOf("a.png\t\n"), HasSubstr("labels.tsv:1: the text is empty"));
  EXPECT_THAT(ProblemOf("a.png\t1\na.png\t2\n"), HasSubstr("labels.tsv:2: a.png is named twice"));
  EXPECT_THAT(ProblemOf("a.png\t\xff\xfe\n"), HasSubstr("labels.tsv:1: not UTF-8"));
}

TEST(LabelsTest, NoLinesAreNoLabels) {
  const auto labels = ParseLabels("", "labels.tsv");
  ASSERT_TRUE(labels.ok());
  EXPECT_TRUE(labels->empty());
}

}  // namespace
}  // namespace fairlead::cli
