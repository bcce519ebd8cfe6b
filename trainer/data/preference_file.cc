#include "trainer/data/preference_file.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

using Json = nlohmann::json;

constexpr char kHuman[] = "\n\nHuman:";
constexpr char kAssistant[] = "\n\nAssistant:";
constexpr size_t kExamples = 5;

absl::Status Bad(absl::string_view reason, absl::string_view message) {
  return Error(absl::StatusCode::kInvalidArgument, reason, message);
}

absl::Status WrongType(absl::string_view field, absl::string_view wanted) {
  return Bad("WRONG_TYPE", absl::StrCat("\"", field, "\" must be ", wanted));
}

absl::StatusOr<Json> ParseObject(absl::string_view line) {
  Json json;
  try {
    json = Json::parse(line);
  } catch (const Json::parse_error& error) {
    if (absl::StrContains(error.what(), "ill-formed UTF-8")) {
      return Bad("INVALID_UTF8", absl::StrCat("byte ", error.byte, " is not UTF-8"));
    }
    return Bad("NOT_JSON", absl::StrCat("not JSON from byte ", error.byte));
  }
  if (!json.is_object()) return Bad("NOT_JSON", "the line is not a JSON object");
  return json;
}

absl::Status TakeText(const Json& json, const char* key, std::string& out) {
  const auto found = json.find(key);
  if (found == json.end()) return absl::OkStatus();
  if (!found->is_string()) return WrongType(key, "a string");
  out = found->get<std::string>();
  return absl::OkStatus();
}

absl::Status TakePrompt(const Json& json, std::string& prompt) {
  for (const char* key : {"prompt", "first_human"}) {
    if (!json.contains(key)) continue;
    RETURN_IF_ERROR(TakeText(json, key, prompt));
    if (absl::StripAsciiWhitespace(prompt).empty()) {
      return Bad("EMPTY_PROMPT", absl::StrCat("\"", key, "\" is empty; leave it out or give it"));
    }
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

// Cuts a whole dialogue; the first response's dialogue gives the prompt.
absl::Status CutDialogue(std::string& response, std::string& prompt, bool first) {
  const size_t turn = response.rfind(kAssistant);
  if (!absl::StartsWith(response, kHuman)) return absl::OkStatus();
  if (turn == std::string::npos) {
    return Bad("NO_ASSISTANT_TURN", "a dialogue without \"\\n\\nAssistant:\"");
  }
  if (first) prompt = std::string(absl::StripAsciiWhitespace(response.substr(0, turn)));
  response =
      std::string(absl::StripAsciiWhitespace(response.substr(turn + sizeof(kAssistant) - 1)));
  return absl::OkStatus();
}

absl::Status TakeResponses(const Json& json, PreferenceLine& line) {
  std::vector<const char*> keys;
  if (json.contains("chosen") || json.contains("rejected")) {
    keys = {"chosen", "rejected"};
    line.form = LineForm::kPair;
  } else if (json.contains("response_a") || json.contains("response_b")) {
    keys = {"response_a", "response_b"};
    line.form = LineForm::kList;
  } else if (json.contains("responses")) {
    line.form = LineForm::kList;
    if (!json["responses"].is_array()) return WrongType("responses", "a list of strings");
    for (const Json& response : json["responses"]) {
      if (!response.is_string()) return WrongType("responses", "a list of strings");
      line.item.responses.push_back(response.get<std::string>());
    }
  } else {
    keys = {"response"};
    line.form = LineForm::kSingle;
  }
  for (const char* key : keys) {
    if (!json.contains(key)) {
      return Bad("NO_RESPONSE", absl::StrCat("\"", key,
                                             "\" is missing: give chosen and rejected, "
                                             "responses, or response"));
    }
    RETURN_IF_ERROR(TakeText(json, key, line.item.responses.emplace_back()));
  }
  if (line.item.responses.empty()) return Bad("NO_RESPONSE", "\"responses\" is empty");
  if (line.item.responses.size() > kMaxResponses) {
    return Bad("TOO_MANY_RESPONSES", absl::StrCat("more than ", kMaxResponses, " responses"));
  }
  return absl::OkStatus();
}

absl::StatusOr<PreferenceLine> TextsOf(const Json& json) {
  PreferenceLine line;
  RETURN_IF_ERROR(TakePrompt(json, line.item.prompt));
  RETURN_IF_ERROR(TakeResponses(json, line));
  bool first = true;
  for (std::string& response : line.item.responses) {
    RETURN_IF_ERROR(CutDialogue(response, line.item.prompt, first));
    if (response.size() > kMaxResponseBytes) {
      return Bad("TOO_LONG", absl::StrCat("a response of ", response.size(), " bytes; at most ",
                                          kMaxResponseBytes));
    }
    first = false;
  }
  if (line.item.prompt.size() > kMaxPromptBytes) {
    return Bad("TOO_LONG", absl::StrCat("a prompt of ", line.item.prompt.size(), " bytes; at most ",
                                        kMaxPromptBytes));
  }
  return line;
}

absl::Status BadRanking(size_t count) {
  return Bad("BAD_RANKING", absl::StrCat("\"ranking\" must name each index from 0 to ", count - 1,
                                         " once, best first; tied ones in a list of their own"));
}

absl::Status TakeRanking(const Json& ranking, PreferenceItem& item) {
  const size_t count = item.responses.size();
  if (!ranking.is_array()) return WrongType("ranking", "a list of indices, best first");
  std::vector<bool> seen(count, false);
  size_t named = 0;
  for (const Json& entry : ranking) {
    const Json level = entry.is_array() ? entry : Json::array({entry});
    std::vector<int> tied;
    for (const Json& index : level) {
      if (!index.is_number_integer()) return BadRanking(count);
      const auto value = index.get<int64_t>();
      if (value < 0 || value >= static_cast<int64_t>(count) || seen[value]) {
        return BadRanking(count);
      }
      seen[value] = true;
      ++named;
      tied.push_back(static_cast<int>(value));
    }
    if (!tied.empty()) item.ranking.push_back(std::move(tied));
  }
  if (named != count) return BadRanking(count);
  return absl::OkStatus();
}

absl::Status TakePlaces(const Json& places, PreferenceItem& item) {
  std::map<int64_t, std::vector<int>> levels;
  if (!places.is_array() || places.size() != item.responses.size()) {
    return Bad("BAD_RANKING", "\"rank\" must give each response its place, 1 = best");
  }
  for (size_t i = 0; i < places.size(); ++i) {
    if (!places[i].is_number_integer()) return WrongType("rank", "a list of whole numbers");
    levels[places[i].get<int64_t>()].push_back(static_cast<int>(i));
  }
  for (auto& [place, level] : levels) item.ranking.push_back(std::move(level));
  return absl::OkStatus();
}

absl::Status TakeVotes(const Json& votes, PreferenceItem& item) {
  const int count = static_cast<int>(item.responses.size());
  const auto bad = [&] {
    return Bad("BAD_VOTES", absl::StrCat("\"votes\" must hold numbers from 0 (tie) to ", count));
  };
  if (!votes.is_array() || votes.empty()) return bad();
  std::vector<double> share(item.responses.size(), 0.0);
  double ties = 0;
  for (const Json& vote : votes) {
    if (!vote.is_number_integer()) return bad();
    const auto value = vote.get<int64_t>();
    if (value < 0 || value > count) return bad();
    (value == 0 ? ties : share[value - 1]) += 1;
  }
  if (ties == static_cast<double>(votes.size())) return Bad("ALL_TIES", "all votes are ties");
  for (int a = 0; a < count; ++a) {
    for (int b = a + 1; b < count; ++b) {
      const double total = share[a] + share[b] + ties;
      if (total > 0) item.comparisons.push_back({a, b, (share[a] + ties / 2) / total});
    }
  }
  return absl::OkStatus();
}

absl::Status TakeJudgement(const Json& json, PreferenceLine& line) {
  PreferenceItem& item = line.item;
  if (line.form == LineForm::kSingle) {
    if (!json.contains("safe")) return Bad("NO_JUDGEMENT", "needs \"safe\": true or false");
    if (!json["safe"].is_boolean()) return WrongType("safe", "true or false");
    item.safe = json["safe"].get<bool>();
    return absl::OkStatus();
  }
  if (item.responses.size() < 2) return Bad("NO_RESPONSE", "needs two responses at least");
  if (std::all_of(item.responses.begin(), item.responses.end(),
                  [&](const std::string& text) { return text == item.responses[0]; })) {
    return Bad("EQUAL_RESPONSES", "the responses are equal: there is nothing to prefer");
  }
  if (json.contains("ranking")) {
    RETURN_IF_ERROR(TakeRanking(json["ranking"], item));
  } else if (json.contains("rank")) {
    RETURN_IF_ERROR(TakePlaces(json["rank"], item));
  } else if (json.contains("votes")) {
    RETURN_IF_ERROR(TakeVotes(json["votes"], item));
  } else if (line.form == LineForm::kPair) {
    item.comparisons = {{0, 1, 1.0}};
  } else if (json.contains("preference_a")) {
    const Json& share = json["preference_a"];
    if (!share.is_number() || share.get<double>() < 0 || share.get<double>() > 1) {
      return WrongType("preference_a", "a number from 0 to 1");
    }
    item.comparisons = {{0, 1, share.get<double>()}};
  } else {
    return Bad("NO_JUDGEMENT", "needs \"ranking\" or \"votes\" beside \"responses\"");
  }
  if (item.comparisons.empty() && item.ranking.size() < 2) {
    return Bad("ALL_TIES", "all responses tie: there is nothing to learn");
  }
  return absl::OkStatus();
}

absl::Status TakeSettings(const Json& json, PreferenceItem& item) {
  RETURN_IF_ERROR(TakeText(json, "id", item.id));
  if (json.contains("weight")) {
    if (!json["weight"].is_number() || !(json["weight"].get<double>() > 0)) {
      return WrongType("weight", "a number above 0");
    }
    item.weight = json["weight"].get<double>();
  }
  std::string split = "train";
  RETURN_IF_ERROR(TakeText(json, "split", split));
  if (split != "train" && split != "val" && split != "test") {
    return WrongType("split", "train, val or test");
  }
  item.split = split == "train" ? Split::kTrain
               : split == "val" ? Split::kValidation
                                : Split::kTest;
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<PreferenceLine> ParseTexts(absl::string_view line) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(line));
  return TextsOf(json);
}

absl::StatusOr<PreferenceLine> ParseJudged(absl::string_view line) {
  ASSIGN_OR_RETURN(const Json json, ParseObject(line));
  ASSIGN_OR_RETURN(PreferenceLine judged, TextsOf(json));
  RETURN_IF_ERROR(TakeJudgement(json, judged));
  RETURN_IF_ERROR(TakeSettings(json, judged.item));
  return judged;
}

absl::StatusOr<std::vector<std::string>> ReadLines(const std::string& path) {
  std::error_code error;
  if (!std::filesystem::is_regular_file(path, error)) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file"));
  }
  // gzread reads plain files as they are.
  const std::unique_ptr<gzFile_s, int (*)(gzFile)> in(gzopen(path.c_str(), "rb"), &gzclose);
  if (in == nullptr) return absl::NotFoundError(absl::StrCat(path, ": cannot be opened"));
  std::string text;
  std::vector<char> buffer(1 << 18);
  int got = 0;
  while ((got = gzread(in.get(), buffer.data(), static_cast<unsigned>(buffer.size()))) > 0) {
    text.append(buffer.data(), static_cast<size_t>(got));
  }
  int code = Z_OK;
  gzerror(in.get(), &code);
  if (got < 0 || (code != Z_OK && code != Z_STREAM_END)) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": the gzip stream is torn"));
  }
  std::vector<std::string> lines = absl::StrSplit(text, '\n');
  if (lines.back().empty()) lines.pop_back();
  for (std::string& line : lines) {
    if (!line.empty() && line.back() == '\r') line.pop_back();
  }
  return lines;
}

absl::StatusOr<PreferenceSet> ReadPreferences(const std::vector<std::string>& paths) {
  PreferenceSet set;
  for (const std::string& path : paths) {
    ASSIGN_OR_RETURN(const std::vector<std::string> lines, ReadLines(path));
    for (size_t i = 0; i < lines.size(); ++i) {
      absl::StatusOr<PreferenceLine> line = ParseJudged(lines[i]);
      if (line.ok()) {
        set.items.push_back(std::move(line->item));
        continue;
      }
      const std::string reason = ReasonOf(line.status());
      ++set.set_aside[reason];
      if (set.first_set_aside.size() < kExamples) {
        set.first_set_aside.push_back(
            {path, static_cast<int64_t>(i) + 1, reason, std::string(line.status().message())});
      }
    }
  }
  if (!set.items.empty()) return set;
  std::string why = absl::StrCat(absl::StrJoin(paths, ", "), ": no line can be used");
  for (const SetAside& one : set.first_set_aside) {
    absl::StrAppend(&why, "; line ", one.line, ": ", one.message);
  }
  return absl::InvalidArgumentError(why);
}

}  // namespace fairlead::trainer
