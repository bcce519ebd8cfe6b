#include "trainer/reward/form.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "trainer/reward/features.h"

namespace fairlead::trainer {
namespace {

double One(absl::string_view) { return 1; }

Form FormOf(absl::string_view prompt, absl::string_view response) {
  return Form(SplitWords(prompt), response, SplitTokens(response), One);
}

TEST(FormTest, CountsWhatTheResponseShows) {
  const Form form = FormOf("When did Bloom come out?", "Bloom came out, in 2018 (May). Did it?");
  EXPECT_EQ(form.words(), 8u);
  const double wanted[] = {3 / 5.0, 3 / 8.0, 8 / 8.0, 0 / 8.0, 1 / 8.0, 4 / 60.0,
                           5 / 8.0, 1.0,     3 / 8.0, 1.0,     1 / 2.0};
  for (size_t i = 0; i < kFormNames.size(); ++i) {
    EXPECT_NEAR(form.values()[i], wanted[i], 1e-12) << kFormNames[i];
  }
}

TEST(FormTest, AnAnswerCutShortDoesNotEndAsASentence) {
  EXPECT_EQ(FormOf("", "It was released in").values()[9], 0);
  EXPECT_EQ(FormOf("", "It was released in May.\n").values()[9], 1);
}

TEST(FormTest, NothingOfItGrowsWithLength) {
  std::string text = "Yes, it was (May) in 2018. Why not?";
  const Form once = FormOf("was it May", text);
  const Form twice = FormOf("was it May", text + " " + text);
  for (size_t i = 0; i < kFormNames.size(); ++i) {
    if (kFormNames[i] == "(different words)" || kFormNames[i] == "(prompt's word late)") continue;
    EXPECT_NEAR(twice.values()[i], once.values()[i], 1e-12) << kFormNames[i];
  }
}

TEST(FormTest, IsZeroWithoutAWord) {
  for (const char* text : {"", " \n", "...", "?!"}) {
    const Form form = FormOf("What?", text);
    EXPECT_EQ(form.words(), 0u) << text;
    for (const double value : form.values()) EXPECT_EQ(value, 0) << text;
  }
}

TEST(FeaturesTest, SplitsWordsAndMarks) {
  EXPECT_EQ(SplitTokens("It's 5.30, \xC3\xA9t\xC3\xA9!"),
            (std::vector<std::string>{"it's", "5", ".", "30", ",", "\xC3\xA9t\xC3\xA9", "!"}));
  EXPECT_EQ(SplitWords("It's 5.30!"), (std::vector<std::string>{"it's", "5", "30"}));
}

TEST(FeaturesTest, ABlockOfRunsHasItsLength) {
  FeatureOptions options;
  options.form = 0;
  const TextFeatures features(options, {});
  double squares = 0;
  size_t count = 0;
  for (const auto& [bucket, value] : features.Of("", "a b, a")) {
    if (bucket >= features.Dense(0)) continue;
    squares += static_cast<double>(value) * value;
    ++count;
  }
  EXPECT_NEAR(std::sqrt(squares), 1, 1e-6);
  EXPECT_EQ(count, 8u);  // a, b, the comma; start-a, a-b, b-comma, comma-a, a-end.
}

}  // namespace
}  // namespace fairlead::trainer
