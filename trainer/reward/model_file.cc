// The reward model's file: EncodeReward and ReadReward (fit.h).
#include <cmath>
#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/reward/fit.h"

namespace fairlead::trainer {
namespace {

using Json = nlohmann::json;

constexpr char kFormat[] = "fairlead.reward.v3";
constexpr size_t kMaxMembers = 16;

absl::Status Corrupt(absl::string_view path, absl::string_view what) {
  return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT", absl::StrCat(path, ": ", what));
}

template <typename T>
absl::string_view BytesOf(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

template <typename T>
absl::StatusOr<std::vector<T>> ReadValues(const TensorFile& file, const std::string& path,
                                          const std::string& name, absl::string_view dtype,
                                          size_t count) {
  const TensorBytes* tensor = file.Find(name);
  if (tensor == nullptr || tensor->dtype != dtype || tensor->bytes.size() != count * sizeof(T)) {
    return Corrupt(path, absl::StrCat("tensor ", name, " does not fit"));
  }
  std::vector<T> values(count);
  std::memcpy(values.data(), tensor->bytes.data(), tensor->bytes.size());
  return values;
}

absl::StatusOr<double> ReadNumber(const TensorFile& file, const std::string& path,
                                  const std::string& key, double low, double high) {
  ASSIGN_OR_RETURN(const std::string text, file.Metadata(key));
  double value = 0;
  if (!absl::SimpleAtod(text, &value) || !(value >= low && value <= high)) {
    return Corrupt(path, absl::StrCat(key, " must be ", low, " to ", high));
  }
  return value;
}

std::map<std::string, float*> BlocksOf(FeatureOptions& options) {
  return {{"response", &options.response},
          {"prompt", &options.prompt},
          {"form", &options.form},
          {"length", &options.length}};
}

absl::StatusOr<LinearReward> ReadSettings(const TensorFile& file, const std::string& path) {
  LinearReward model;
  ASSIGN_OR_RETURN(model.axis, file.Metadata("axis"));
  ASSIGN_OR_RETURN(const double bits, ReadNumber(file, path, "bits", 8, 22));
  model.features.bits = static_cast<int>(bits);
  ASSIGN_OR_RETURN(const double run, ReadNumber(file, path, "run", 1, 8));
  model.features.run = static_cast<int>(run);
  ASSIGN_OR_RETURN(model.temperature, ReadNumber(file, path, "temperature", 0.01, 100));
  ASSIGN_OR_RETURN(model.strength, ReadNumber(file, path, "strength", 1e-9, 1e9));
  for (auto& [name, block] : BlocksOf(model.features)) {
    ASSIGN_OR_RETURN(const double length, ReadNumber(file, path, name, 0, 100));
    *block = static_cast<float>(length);
  }
  ASSIGN_OR_RETURN(const std::string words, file.Metadata("top_words"));
  const Json parsed = Json::parse(words, nullptr, /*allow_exceptions=*/false);
  if (!parsed.is_array()) return Corrupt(path, "top_words is not a list");
  for (const Json& word : parsed) {
    if (!word.is_array() || word.size() != 2 || !word[0].is_string() || !word[1].is_number()) {
      return Corrupt(path, "top_words must hold [word, weight]");
    }
    model.top_words.push_back({word[0].get<std::string>(), word[1].get<double>()});
  }
  return model;
}

}  // namespace

std::string EncodeReward(const LinearReward& model, const std::string& data_digest) {
  std::vector<int32_t> buckets;
  std::vector<float> idf;
  std::vector<std::vector<float>> members(model.members.size());
  float unseen = 0;  // The idf of a bucket that never occurred is the largest.
  for (const float value : model.idf) unseen = std::max(unseen, value);
  for (size_t bucket = 0; bucket < model.members[0].size(); ++bucket) {
    bool used = bucket < model.idf.size() && model.idf[bucket] != unseen;
    for (const auto& member : model.members) used = used || member[bucket] != 0;
    if (!used) continue;
    buckets.push_back(static_cast<int32_t>(bucket));
    idf.push_back(bucket < model.idf.size() ? model.idf[bucket] : 0.0f);
    for (size_t m = 0; m < members.size(); ++m) members[m].push_back(model.members[m][bucket]);
  }
  const auto count = static_cast<int64_t>(buckets.size());
  std::vector<TensorBytes> tensors = {{"buckets", "I32", {count}, BytesOf(buckets)},
                                      {"idf", "F32", {count}, BytesOf(idf)}};
  for (size_t m = 0; m < members.size(); ++m) {
    tensors.push_back({absl::StrCat("weights.", m), "F32", {count}, BytesOf(members[m])});
  }
  Json words = Json::array();
  for (const WordWeight& word : model.top_words) words.push_back({word.word, word.weight});
  TensorMetadata metadata = {
      {"format", kFormat},
      {"axis", model.axis},
      {"bits", absl::StrCat(model.features.bits)},
      {"run", absl::StrCat(model.features.run)},
      {"members", absl::StrCat(model.members.size())},
      {"unseen_idf", absl::StrFormat("%.9g", unseen)},
      {"temperature", absl::StrFormat("%.17g", model.temperature)},
      {"strength", absl::StrFormat("%.17g", model.strength)},
      {"top_words", words.dump(-1, ' ', true, Json::error_handler_t::replace)},
      {"data_digest", data_digest}};
  FeatureOptions features = model.features;
  for (const auto& [name, block] : BlocksOf(features)) {
    metadata[name] = absl::StrFormat("%.9g", *block);
  }
  return EncodeTensorFile(tensors, metadata);
}

absl::StatusOr<LinearReward> ReadReward(const TensorFile& file, const std::string& path) {
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != kFormat) {
    return FieldError("model", absl::StrCat(path, " is not a ", kFormat, " file; train it again"));
  }
  ASSIGN_OR_RETURN(LinearReward model, ReadSettings(file, path));
  ASSIGN_OR_RETURN(const double members, ReadNumber(file, path, "members", 1, kMaxMembers));
  ASSIGN_OR_RETURN(const double unseen, ReadNumber(file, path, "unseen_idf", 0, 1e6));
  const TensorBytes* stored = file.Find("buckets");
  const size_t count = stored == nullptr ? 0 : stored->bytes.size() / sizeof(int32_t);
  ASSIGN_OR_RETURN(const auto buckets, ReadValues<int32_t>(file, path, "buckets", "I32", count));
  ASSIGN_OR_RETURN(const auto idf, ReadValues<float>(file, path, "idf", "F32", count));
  const size_t hashed = size_t{1} << model.features.bits;
  const size_t all = hashed + kDenseBuckets;
  model.idf.assign(hashed, static_cast<float>(unseen));
  for (size_t m = 0; m < static_cast<size_t>(members); ++m) {
    ASSIGN_OR_RETURN(const auto weights,
                     ReadValues<float>(file, path, absl::StrCat("weights.", m), "F32", count));
    std::vector<float>& member = model.members.emplace_back(all, 0.0f);
    for (size_t i = 0; i < count; ++i) {
      if (buckets[i] < 0 || static_cast<size_t>(buckets[i]) >= all || !std::isfinite(weights[i]) ||
          !std::isfinite(idf[i])) {
        return Corrupt(path, absl::StrCat("entry ", i, " is out of range or not finite"));
      }
      member[buckets[i]] = weights[i];
      if (static_cast<size_t>(buckets[i]) < hashed) model.idf[buckets[i]] = idf[i];
    }
  }
  return model;
}

}  // namespace fairlead::trainer
