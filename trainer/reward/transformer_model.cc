// A transformer's file, and the RewardModel that serves it (transformer_fit.h).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "trainer/reward/losses.h"
#include "trainer/reward/transformer_fit.h"

namespace fairlead::trainer {
namespace {

constexpr char kFormat[] = "fairlead.reward.transformer.v1";
constexpr char kPieces[] = "pieces.model";
constexpr size_t kLongestExplained = 100;  // Words: each costs a forward pass of the response.
constexpr size_t kRowsAtOnce = 64;

absl::Status Corrupt(absl::string_view path, absl::string_view what) {
  return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT", absl::StrCat(path, ": ", what));
}

// The numbers of a model, with the bounds in which they are believed.
struct Setting {
  const char* name;
  int64_t low, high;
  int64_t value;
};

std::vector<Setting> SettingsOf(const TransformerReward& model) {
  return {{"vocabulary", 2, 65537, model.shape.vocabulary},
          {"width", 1, 1024, model.shape.width},
          {"layers", 1, 24, model.shape.layers},
          {"heads", 1, 64, model.shape.heads},
          {"positions", 2, 4096, model.shape.positions},
          {"prompt_pieces", 0, 4096, static_cast<int64_t>(model.limits.prompt)}};
}

absl::StatusOr<TransformerReward> ReadSettings(const TensorFile& file, const std::string& path) {
  TransformerReward model;
  ASSIGN_OR_RETURN(model.axis, file.Metadata("axis"));
  if (model.axis != "helpful" && model.axis != "safe") {
    return Corrupt(path, "axis must be helpful or safe");
  }
  std::map<std::string, int64_t> numbers;
  for (const Setting& setting : SettingsOf(model)) {
    ASSIGN_OR_RETURN(const std::string text, file.Metadata(setting.name));
    int64_t& value = numbers[setting.name];
    if (!absl::SimpleAtoi(text, &value) || value < setting.low || value > setting.high) {
      return Corrupt(path,
                     absl::StrCat(setting.name, " must be ", setting.low, " to ", setting.high));
    }
  }
  model.shape = {.vocabulary = static_cast<int>(numbers["vocabulary"]),
                 .width = static_cast<int>(numbers["width"]),
                 .layers = static_cast<int>(numbers["layers"]),
                 .heads = static_cast<int>(numbers["heads"]),
                 .positions = static_cast<int>(numbers["positions"])};
  model.limits.prompt = static_cast<size_t>(numbers["prompt_pieces"]);
  model.limits.total = static_cast<size_t>(model.shape.positions);
  if (model.shape.width % model.shape.heads != 0) {
    return Corrupt(path, "width must be a multiple of heads");
  }
  ASSIGN_OR_RETURN(const std::string temperature, file.Metadata("temperature"));
  if (!absl::SimpleAtod(temperature, &model.temperature) ||
      !(model.temperature >= 0.01 && model.temperature <= 100)) {
    return Corrupt(path, "temperature must be 0.01 to 100");
  }
  return model;
}

// Weights of a network of this shape (transformer_net.h).
size_t NumbersOf(const TransformerShape& shape) {
  const auto width = static_cast<size_t>(shape.width);
  const size_t layer = 12 * width * width + 13 * width;
  const auto rows = static_cast<size_t>(shape.vocabulary) + static_cast<size_t>(shape.positions);
  return rows * width + static_cast<size_t>(shape.layers) * layer + 4 * width + 2;
}

std::vector<absl::string_view> SplitAtBlanks(absl::string_view text, size_t most) {
  std::vector<absl::string_view> words;
  size_t at = 0;
  while (at < text.size() && words.size() < most) {
    const auto blank = [&](size_t i) {
      return absl::ascii_isspace(static_cast<unsigned char>(text[i]));
    };
    while (at < text.size() && blank(at)) ++at;
    const size_t begin = at;
    while (at < text.size() && !blank(at)) ++at;
    if (at > begin) words.push_back(text.substr(begin, at - begin));
  }
  return words;
}

class TransformerRewardModel : public RewardModel {
 public:
  TransformerRewardModel(std::string axis, TokenLimits limits, double temperature,
                         Tokenizer tokenizer, std::unique_ptr<TransformerScorer> scorer)
      : axis_(std::move(axis)),
        limits_(limits),
        temperature_(temperature),
        tokenizer_(std::move(tokenizer)),
        scorer_(std::move(scorer)) {}

  const std::string& axis() const override { return axis_; }

  double Score(absl::string_view prompt, absl::string_view response) const override {
    return Scores({EncodeRow(tokenizer_, limits_, prompt, response)})[0];
  }

  double PreferA(absl::string_view prompt, absl::string_view a,
                 absl::string_view b) const override {
    return std::clamp(Sigmoid(Score(prompt, a) - Score(prompt, b)), 1e-9, 1 - 1e-9);
  }

  double Disagreement(absl::string_view /*prompt*/, absl::string_view /*a*/,
                      absl::string_view /*b*/) const override {
    return 0;
  }

  std::vector<WordWeight> Explain(absl::string_view prompt, absl::string_view response,
                                  size_t count) const override {
    const std::vector<absl::string_view> words = SplitAtBlanks(response, kLongestExplained + 1);
    if (words.empty() || words.size() > kLongestExplained) return {};
    // A word is hidden as training hides pieces, so that the others keep their places; no piece
    // goes over a blank.
    std::vector<TokenRow> rows(words.size() + 1, EncodeRow(tokenizer_, limits_, prompt, response));
    size_t at = rows[0].response_begin + 1;
    for (size_t i = 0; i < words.size(); ++i) {
      std::vector<int32_t>& ids = rows[i].ids;
      const size_t end = at + tokenizer_.Encode(words[i], limits_.total).size();
      for (; at < std::min(end, ids.size()); ++at) ids[at] = tokenizer_.unknown();
      at = end;
    }
    const std::vector<double> scores = Scores(rows);
    std::vector<WordWeight> weights;
    for (size_t i = 0; i < words.size(); ++i) {
      weights.push_back({std::string(words[i]), scores.back() - scores[i]});
    }
    std::stable_sort(weights.begin(), weights.end(), [](const WordWeight& a, const WordWeight& b) {
      return std::abs(a.weight) > std::abs(b.weight);
    });
    if (weights.size() > count) weights.resize(count);
    return weights;
  }
  size_t longest_explained() const override { return kLongestExplained; }

  std::vector<WordWeight> TopWords() const override { return {}; }

  RewardMetrics Evaluate(absl::Span<const PreferenceItem> items) const override {
    std::vector<ScoredPair> pairs;
    bool single = !items.empty();
    for (const PreferenceItem& item : items) {
      single = single && item.safe.has_value();
      std::vector<TokenRow> rows;
      for (const std::string& response : item.responses) {
        rows.push_back(EncodeRow(tokenizer_, limits_, item.prompt, response));
      }
      for (const ScoredPair& pair : PairsOf(item, Scores(rows))) pairs.push_back(pair);
    }
    return Measure(pairs, single);
  }

 private:
  std::vector<double> Scores(const std::vector<TokenRow>& rows) const {
    std::vector<double> scores;
    for (size_t begin = 0; begin < rows.size(); begin += kRowsAtOnce) {
      for (const double score : scorer_->Scores(absl::MakeSpan(rows).subspan(begin, kRowsAtOnce))) {
        scores.push_back(score / temperature_);
      }
    }
    return scores;
  }

  const std::string axis_;
  const TokenLimits limits_;
  const double temperature_;
  const Tokenizer tokenizer_;
  const std::unique_ptr<TransformerScorer> scorer_;
};

}  // namespace

std::string EncodeTransformer(const TransformerReward& model, const std::string& data_digest) {
  std::vector<TensorBytes> tensors = {
      {kPieces, "U8", {static_cast<int64_t>(model.pieces.size())}, model.pieces}};
  for (const NamedValues& one : model.weights) {
    tensors.push_back(
        {one.name,
         "F32",
         one.shape,
         {reinterpret_cast<const char*>(one.values.data()), one.values.size() * sizeof(float)}});
  }
  TensorMetadata metadata = {{"format", kFormat},
                             {"axis", model.axis},
                             {"temperature", absl::StrFormat("%.17g", model.temperature)},
                             {"data_digest", data_digest}};
  for (const Setting& setting : SettingsOf(model)) {
    metadata[setting.name] = absl::StrCat(setting.value);
  }
  return EncodeTensorFile(tensors, std::move(metadata));
}

bool IsTransformer(const TensorFile& file) {
  const auto format = file.metadata().find("format");
  return format != file.metadata().end() && format->second == kFormat;
}

absl::StatusOr<TransformerReward> ReadTransformer(const TensorFile& file, const std::string& path) {
  if (!IsTransformer(file)) {
    return FieldError("model", absl::StrCat(path, " is not a ", kFormat, " file"));
  }
  ASSIGN_OR_RETURN(TransformerReward model, ReadSettings(file, path));
  const TensorBytes* pieces = file.Find(kPieces);
  if (pieces == nullptr || pieces->dtype != "U8") return Corrupt(path, "has no tokenizer");
  model.pieces = std::string(pieces->bytes);
  for (const TensorBytes& tensor : file.tensors()) {
    if (tensor.name == kPieces) continue;
    if (tensor.dtype != "F32") return Corrupt(path, absl::StrCat(tensor.name, " is not F32"));
    NamedValues& one = model.weights.emplace_back();
    one.name = tensor.name;
    one.shape = tensor.shape;
    one.values.resize(tensor.bytes.size() / sizeof(float));
    std::memcpy(one.values.data(), tensor.bytes.data(), tensor.bytes.size());
    for (const float value : one.values) {
      if (!std::isfinite(value)) return Corrupt(path, absl::StrCat(one.name, " is not finite"));
    }
  }
  // Before a network of that size is made.
  size_t numbers = 0;
  for (const NamedValues& one : model.weights) numbers += one.values.size();
  if (numbers != NumbersOf(model.shape)) {
    return Corrupt(path, absl::StrCat("has ", numbers, " weights of ", NumbersOf(model.shape)));
  }
  ASSIGN_OR_RETURN(const Tokenizer tokenizer, Tokenizer::Parse(model.pieces));
  if (tokenizer.pieces() + 1 != model.shape.vocabulary) {
    return Corrupt(path, "the tokenizer has another vocabulary than the network");
  }
  return model;
}

absl::StatusOr<std::unique_ptr<RewardModel>> ServeTransformer(TransformerReward model) {
  ASSIGN_OR_RETURN(Tokenizer tokenizer, Tokenizer::Parse(std::move(model.pieces)));
  ASSIGN_OR_RETURN(auto scorer, TransformerScorer::Create(model.shape, model.weights));
  return std::unique_ptr<RewardModel>(std::make_unique<TransformerRewardModel>(
      std::move(model.axis), model.limits, model.temperature, std::move(tokenizer),
      std::move(scorer)));
}

}  // namespace fairlead::trainer
