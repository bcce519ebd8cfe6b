#include "trainer/data/preference_file.h"

#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

using Json = nlohmann::json;

// Reads an optional string; false when the key holds something else.
bool TakeText(const Json& json, const char* key, std::string& out) {
  const auto found = json.find(key);
  if (found == json.end()) return true;
  if (!found->is_string()) return false;
  out = found->get<std::string>();
  return true;
}

bool TakeNumber(const Json& json, const char* key, double& out) {
  const auto found = json.find(key);
  if (found == json.end()) return true;
  if (!found->is_number()) return false;
  out = found->get<double>();
  return true;
}

absl::StatusOr<PreferencePair> ParsePair(const std::string& line, uint64_t seed) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return FieldError("line", "is not a JSON object");
  const bool ordered = json.contains("chosen");
  const char* a = ordered ? "chosen" : "response_a";
  const char* b = ordered ? "rejected" : "response_b";
  if (!json.contains(a) || !json.contains(b)) {
    return FieldError("line", absl::StrCat("needs ", a, " and ", b));
  }
  PreferencePair pair;
  std::string split;
  if (!TakeText(json, "id", pair.id) || !TakeText(json, "prompt", pair.prompt) ||
      !TakeText(json, a, pair.response_a) || !TakeText(json, b, pair.response_b) ||
      !TakeText(json, "split", split) || !TakeNumber(json, "preference_a", pair.preference_a) ||
      !TakeNumber(json, "weight", pair.weight)) {
    return FieldError("line", "has a field of the wrong type");
  }
  const uint64_t tenth =
      StableHash64(absl::StrCat(seed, "/", pair.prompt.empty() ? pair.response_a : pair.prompt)) %
      10;
  if (split.empty()) split = tenth == 0 ? "val" : tenth == 1 ? "test" : "train";
  if (split != "train" && split != "val" && split != "test") {
    return FieldError("split", "must be train, val or test");
  }
  pair.split = split == "train" ? Split::kTrain
               : split == "val" ? Split::kValidation
                                : Split::kTest;
  return pair;
}

}  // namespace

absl::StatusOr<std::vector<PreferencePair>> ReadPreferenceFile(const std::string& path,
                                                               uint64_t seed) {
  std::ifstream in(path);
  if (!in) return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  std::vector<PreferencePair> pairs;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    if (line.empty()) continue;
    auto pair = ParsePair(line, seed);
    if (!pair.ok()) return Annotate(pair.status(), absl::StrCat(path, ":", number));
    pairs.push_back(*std::move(pair));
  }
  if (pairs.empty()) return absl::InvalidArgumentError(absl::StrCat(path, ": is empty"));
  return pairs;
}

}  // namespace fairlead::trainer
