// Our reading of SentencePiece models against Debian's library on the same models.
#include "trainer/reward/tokenizer.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/philox.h"
#include "common/base/status.h"
#include "tests/trainer/sentencepiece_reference.h"

namespace fairlead::trainer {
namespace {

// Sentences of a small world.
std::vector<std::string> Sentences(int count) {
  const char* words[] = {"the",    "contractor", "labels",    "a",     "receipt", "and",
                         "checks", "prices",     "again",     "while", "other's", "answers",
                         "wait,",  "naïve",      "(perhaps)", "zwölf", "Stück",   "for 12.50"};
  PhiloxStream stream(3, 0, 0, 0);
  std::vector<std::string> sentences;
  for (int i = 0; i < count; ++i) {
    std::string& sentence = sentences.emplace_back();
    for (int word = 0; word < 9; ++word) {
      absl::StrAppend(&sentence, word == 0 ? "" : " ", words[stream.Below(18)]);
    }
    absl::StrAppend(&sentence, i % 3 == 0 ? "?" : ".");
  }
  return sentences;
}

absl::StatusOr<std::string> Train(const std::vector<std::string>& texts, int vocabulary) {
  const std::vector<absl::string_view> views(texts.begin(), texts.end());
  return TrainPieces(views, vocabulary);
}

const std::string& Model() {
  static const auto& model = *new std::string(*Train(Sentences(400), 300));
  return model;
}

const Tokenizer& OfSentences() {
  static const auto& tokenizer = *new Tokenizer(*Tokenizer::Parse(Model()));
  return tokenizer;
}

TEST(TokenizerTest, EncodesAsTheLibraryDoes) {
  const SentencePieceReference library(Model());
  ASSERT_EQ(OfSentences().pieces(), library.pieces());
  std::vector<std::string> texts = Sentences(100);
  for (const char* text : {"", " ", "  two  blanks ", "ﬁve ﬂats", "Ａ\u3000wide one", "①②③ ½",
                           "e\u0301 and é", "\t\ttabs\nand lines\r\n", "名前は", "a名b前c",
                           "price: 12.50€!!", "\xff\xfe bad \xc3", "\xed\xa0\x80 surrogate",
                           "\xf4\x90\x80\x80", "zero\u200bwidth", "Ǆ ㎏ ﷺ", "\x01\x02 control"}) {
    texts.push_back(text);
  }
  for (const std::string& text : texts) {
    const std::vector<int> wanted = library.Encode(text);
    EXPECT_EQ(OfSentences().Encode(text, 1000), std::vector<int32_t>(wanted.begin(), wanted.end()))
        << text;
  }
}

TEST(TokenizerTest, RandomBytesEncodeAsTheLibraryDoes) {
  const SentencePieceReference library(Model());
  PhiloxStream stream(9, 0, 0, 0);
  for (int i = 0; i < 2000; ++i) {
    std::string text;
    for (uint32_t n = stream.Below(24); n > 0; --n) {
      // Half of them letters, so that there is something to merge.
      const uint32_t draw = stream.Below(512);
      text += draw < 256 ? static_cast<char>(draw) : "abelrtc ,."[draw % 10];
    }
    const std::vector<int> wanted = library.Encode(text);
    EXPECT_EQ(OfSentences().Encode(text, 1000), std::vector<int32_t>(wanted.begin(), wanted.end()));
  }
}

TEST(TokenizerTest, EqualTextsGiveEqualModelsOfNoMorePiecesThanAsked) {
  EXPECT_EQ(Sha256Hex(*Train(Sentences(400), 300)), Sha256Hex(Model()));
  EXPECT_LE(OfSentences().pieces(), 300);
  const auto small = Train({"to be or not to be", "that is the question"}, kMaxVocabulary);
  ASSERT_TRUE(small.ok()) << small.status();
  EXPECT_LT(Tokenizer::Parse(*small)->pieces(), 60);
}

TEST(TokenizerTest, NoTextIsNothingToLearnFrom) {
  EXPECT_EQ(FieldOf(Train({}, 300).status()), "items");
  EXPECT_EQ(FieldOf(Train({"", " "}, 300).status()), "items");
}

TEST(TokenizerTest, ARowIsThePromptsEndTheSeparatorAndTheResponsesStart) {
  const Tokenizer& tokenizer = OfSentences();
  const TokenLimits limits = {.prompt = 4, .total = 12};
  const TokenRow row = EncodeRow(tokenizer, limits, "the contractor labels a receipt",
                                 "and checks prices again while other's answers wait, again again");
  ASSERT_EQ(row.ids.size(), 12u);
  EXPECT_EQ(row.response_begin, 4u);
  EXPECT_EQ(row.ids[4], tokenizer.pieces());
  EXPECT_EQ(tokenizer.Piece(row.ids[3]), tokenizer.Piece(tokenizer.EncodeTail("a receipt", 1)[0]));
  EXPECT_EQ(tokenizer.Encode("and", 1)[0], row.ids[5]);
  const TokenRow empty = EncodeRow(tokenizer, limits, "", "");
  EXPECT_EQ(empty.ids, std::vector<int32_t>{tokenizer.pieces()});
}

TEST(TokenizerTest, AMegabyteCostsNoMoreThanWhatIsKept) {
  const std::string words(1 << 20, 'a');
  const std::string bad(1 << 20, '\xff');
  const TokenRow row = EncodeRow(OfSentences(), {}, bad, words);
  EXPECT_EQ(row.ids.size(), TokenLimits().total);
  EXPECT_EQ(row.response_begin, 2u);  // A blank and one run of unknown characters.
  EXPECT_EQ(EncodeRow(OfSentences(), {}, words, bad).response_begin, TokenLimits().prompt);
}

TEST(TokenizerTest, ABrokenModelIsRefused) {
  EXPECT_TRUE(absl::IsDataLoss(Tokenizer::Parse("").status()));
  EXPECT_TRUE(absl::IsDataLoss(Tokenizer::Parse("no protobuf at all").status()));
  EXPECT_TRUE(absl::IsDataLoss(Tokenizer::Parse(Model().substr(0, 1000)).status()));
  // Any byte may be another one: a model that is read all the same encodes within its bounds.
  PhiloxStream stream(5, 0, 0, 0);
  int read = 0;
  for (int i = 0; i < 300; ++i) {
    std::string model = Model();
    for (int change = 0; change < 20; ++change) {
      model[stream.Below(static_cast<uint32_t>(model.size()))] =
          static_cast<char>(stream.Below(256));
    }
    const auto tokenizer = Tokenizer::Parse(model);
    if (!tokenizer.ok()) continue;
    ++read;
    for (const int32_t id : tokenizer->Encode("ﬁve ①② naïve Ａ answers \xff", 100)) {
      ASSERT_GE(id, 0);
      ASSERT_LT(id, tokenizer->pieces());
    }
  }
  EXPECT_GT(read, 0);
}

}  // namespace
}  // namespace fairlead::trainer
