#include "trainer/data/preference_file.h"

#include <gtest/gtest.h>
#include <zlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

using Levels = std::vector<std::vector<int>>;

std::string PathOf(const char* name) {
  return (std::filesystem::path(testing::TempDir()) / name).string();
}

std::string ReasonFor(absl::string_view line) { return ReasonOf(ParseJudged(line).status()); }

TEST(PreferenceFileTest, ReadsEveryForm) {
  const auto pair = ParseJudged(R"({"first_human":"Why?","chosen":"So.","rejected":"No."})");
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_EQ(pair->item.prompt, "Why?");
  EXPECT_EQ(pair->item.responses, (std::vector<std::string>{"So.", "No."}));
  ASSERT_EQ(pair->item.comparisons.size(), 1u);
  EXPECT_EQ(pair->item.comparisons[0].preference_a, 1);
  EXPECT_EQ(pair->item.split, Split::kTrain);

  const auto order = ParseJudged(R"({"prompt":"p","responses":["a","b","c"],"ranking":[2,[0,1]]})");
  ASSERT_TRUE(order.ok()) << order.status();
  EXPECT_EQ(order->item.ranking, (Levels{{2}, {0, 1}}));
  const auto places = ParseJudged(R"({"responses":["a","b","c"],"rank":[2,2,1]})");
  ASSERT_TRUE(places.ok()) << places.status();
  EXPECT_EQ(places->item.ranking, order->item.ranking);

  const auto safe = ParseJudged(R"({"prompt":"p","response":"a","safe":false,"split":"test"})");
  ASSERT_TRUE(safe.ok()) << safe.status();
  EXPECT_EQ(safe->item.safe, false);
  EXPECT_EQ(safe->item.split, Split::kTest);
}

TEST(PreferenceFileTest, VotesBecomeShares) {
  const auto two = ParseJudged(R"({"responses":["a","b"],"votes":[1,1,0,2]})");
  ASSERT_TRUE(two.ok()) << two.status();
  EXPECT_EQ(two->item.comparisons[0].preference_a, 2.5 / 4);
  const auto three = ParseJudged(R"({"responses":["a","b","c"],"votes":[1,1,2]})");
  ASSERT_TRUE(three.ok()) << three.status();
  ASSERT_EQ(three->item.comparisons.size(), 3u);
  EXPECT_EQ(three->item.comparisons[0].preference_a, 2.0 / 3);
  EXPECT_EQ(three->item.comparisons[2].preference_a, 1) << "b has a vote, c has none";
}

TEST(PreferenceFileTest, CutsWholeDialoguesToTheirLastTurn) {
  const auto pair = ParseJudged(
      R"({"chosen":"\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant: See you ",)"
      R"("rejected":"\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant: Go"})");
  ASSERT_TRUE(pair.ok()) << pair.status();
  EXPECT_EQ(pair->item.responses, (std::vector<std::string>{"See you", "Go"}));
  EXPECT_EQ(pair->item.prompt, "Human: Hi\n\nAssistant: Hello\n\nHuman: Bye");
  EXPECT_EQ(ReasonFor(R"({"chosen":"\n\nHuman: Hi","rejected":"x"})"), "NO_ASSISTANT_TURN");
  EXPECT_EQ(ParseJudged(R"({"chosen":"Human: is a word","rejected":"x"})")->item.prompt, "");
}

TEST(PreferenceFileTest, SaysWhyALineIsNoUse) {
  EXPECT_EQ(ReasonFor(R"({"prompt":" ","chosen":"a","rejected":"b"})"), "EMPTY_PROMPT");
  EXPECT_EQ(
      ReasonFor(absl::StrCat(R"({"chosen":")", std::string(1 << 20, 'x'), R"(","rejected":"b"})")),
      "TOO_LONG");
  EXPECT_EQ(ReasonFor("{\"chosen\":\"\xC3\x28\",\"rejected\":\"b\"}"), "INVALID_UTF8");
  EXPECT_EQ(ReasonFor("{\"chosen\":\"a\""), "NOT_JSON");
  EXPECT_EQ(ReasonFor(""), "NOT_JSON");
  EXPECT_EQ(ReasonFor("[1]"), "NOT_JSON");
  EXPECT_EQ(ReasonFor(R"({"chosen":1,"rejected":"b"})"), "WRONG_TYPE");
  EXPECT_EQ(ReasonFor(R"({"chosen":"a"})"), "NO_RESPONSE");
  EXPECT_EQ(ReasonFor(R"({"chosen":"a","rejected":"a"})"), "EQUAL_RESPONSES");
  EXPECT_EQ(ReasonFor(R"({"responses":["a","b"]})"), "NO_JUDGEMENT");
  EXPECT_EQ(ReasonFor(R"({"response":"a"})"), "NO_JUDGEMENT");
  EXPECT_EQ(ReasonFor(R"({"responses":["a","b","c"],"ranking":[0,2]})"), "BAD_RANKING");
  EXPECT_EQ(ReasonFor(R"({"responses":["a","b","c"],"ranking":[0,2,2]})"), "BAD_RANKING");
  EXPECT_EQ(ReasonFor(R"({"responses":["a","b","c"],"ranking":[1,2,3]})"), "BAD_RANKING");
  EXPECT_EQ(ReasonFor(R"({"responses":["a","b"],"ranking":[[0,1]]})"), "ALL_TIES");
  EXPECT_EQ(ReasonFor(R"({"responses":["a","b"],"rank":[1,1]})"), "ALL_TIES");
  EXPECT_EQ(ReasonFor(R"({"responses":["a","b"],"votes":[0,0]})"), "ALL_TIES");
  EXPECT_EQ(ReasonFor(R"({"responses":["a","b"],"votes":[3]})"), "BAD_VOTES");
  EXPECT_EQ(ReasonFor(R"({"chosen":"a","rejected":"b","weight":-1})"), "WRONG_TYPE");
}

TEST(PreferenceFileTest, GzipAndPlainGiveTheSameAndCountWhatIsSetAside) {
  const std::string good = "{\"chosen\":\"a\",\"rejected\":\"b\"}";
  const std::string text = absl::StrCat(good, "\r\n", "nonsense\n", good, "\n");
  std::ofstream(PathOf("pairs.jsonl"), std::ios::binary) << text;
  gzFile out = gzopen(PathOf("pairs.jsonl.gz").c_str(), "wb");
  ASSERT_EQ(gzwrite(out, text.data(), static_cast<unsigned>(text.size())),
            static_cast<int>(text.size()));
  gzclose(out);
  for (const char* name : {"pairs.jsonl", "pairs.jsonl.gz"}) {
    const auto set = ReadPreferences({PathOf(name)});
    ASSERT_TRUE(set.ok()) << set.status();
    EXPECT_EQ(set->items.size(), 2u);
    EXPECT_EQ(set->set_aside, (std::map<std::string, int64_t>{{"NOT_JSON", 1}}));
    ASSERT_EQ(set->first_set_aside.size(), 1u);
    EXPECT_EQ(set->first_set_aside[0].line, 2);
  }
  std::filesystem::resize_file(PathOf("pairs.jsonl.gz"), 30);
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPreferences({PathOf("pairs.jsonl.gz")}).status()));
  EXPECT_TRUE(absl::IsNotFound(ReadPreferences({PathOf("none.jsonl")}).status()));
  std::ofstream(PathOf("bad.jsonl")) << "nonsense\n";
  EXPECT_TRUE(absl::IsInvalidArgument(ReadPreferences({PathOf("bad.jsonl")}).status()));
}

}  // namespace
}  // namespace fairlead::trainer
