#include "tests/bench/preference_sets.h"

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "trainer/data/preference_file.h"

namespace fairlead::bench {
namespace {

using trainer::PreferenceItem;
using Json = nlohmann::json;

absl::StatusOr<std::vector<PreferenceItem>> Items(const std::string& file) {
  ASSIGN_OR_RETURN(trainer::PreferenceSet set,
                   trainer::ReadPreferences({absl::StrCat(PreferenceFolder(), "/", file)}));
  return std::move(set.items);
}

// Reads a set whose fields have names of their own; lines that all tie are left out.
absl::StatusOr<std::vector<PreferenceItem>> Renamed(const std::string& file,
                                                    Json (*rename)(const Json&)) {
  ASSIGN_OR_RETURN(const std::vector<std::string> lines,
                   trainer::ReadLines(absl::StrCat(PreferenceFolder(), "/", file)));
  std::vector<PreferenceItem> items;
  for (const std::string& line : lines) {
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(file, ": not JSON"));
    absl::StatusOr<trainer::PreferenceLine> read = trainer::ParseJudged(rename(json).dump());
    if (ReasonOf(read.status()) == "ALL_TIES") continue;
    RETURN_IF_ERROR(read.status());
    items.push_back(std::move(read->item));
  }
  return items;
}

}  // namespace

std::string PreferenceFolder() {
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  return absl::StrCat(shared != nullptr ? shared : FAIRLEAD_SOURCE_FOLDER "/../shared",
                      "/data/preference");
}

absl::StatusOr<std::vector<PreferenceItem>> HarmlessTrain() {
  return Items("hh_harmless/train5k.lastturn.jsonl.gz");
}

absl::StatusOr<std::vector<PreferenceItem>> HarmlessDev() {
  return Items("hh_harmless/dev.jsonl.gz");
}

absl::StatusOr<std::vector<PreferenceItem>> RankedAnswers() {
  return Renamed("finegrained_qa/dev_kwise4.jsonl.gz", [](const Json& json) {
    return Json{
        {"prompt", json["question"]}, {"responses", json["responses"]}, {"rank", json["rank"]}};
  });
}

absl::StatusOr<std::vector<PreferenceItem>> SafetyReplies(const std::string& part) {
  return Renamed(absl::StrCat("diasafety/", part, ".jsonl.gz"), [](const Json& json) {
    return Json{{"prompt", json["context"]},
                {"response", json["response"]},
                {"safe", json["label"] == "Safe"}};
  });
}

}  // namespace fairlead::bench
