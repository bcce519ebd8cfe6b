#include "scheduler/cli/task_lines.h"

#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "google/protobuf/util/time_util.h"
#include "nlohmann/json.hpp"

namespace fairlead::cli {
namespace {

using Json = nlohmann::json;

absl::Status Wrong(absl::string_view key, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat("\"", key, "\" must be ", expected));
}

// Reads the keys of one line, and remembers which were read, so that the rest can be refused.
class LineReader {
 public:
  explicit LineReader(const Json& json) : json_(json) {}

  bool Has(const std::string& key) const { return json_.contains(key); }
  absl::StatusOr<std::string> Text(const std::string& key) {
    const Json& value = Take(key);
    if (!value.is_string()) return Wrong(key, "a string");
    return value.get<std::string>();
  }
  absl::StatusOr<std::vector<std::string>> Texts(const std::string& key) {
    const Json& value = Take(key);
    if (!value.is_array()) return Wrong(key, "a list of strings");
    std::vector<std::string> texts;
    for (const Json& element : value) {
      if (!element.is_string()) return Wrong(key, "a list of strings");
      texts.push_back(element.get<std::string>());
    }
    return texts;
  }
  const Json& Take(const std::string& key) {
    taken_.insert(key);
    static const Json kMissing;
    const auto it = json_.find(key);
    return it == json_.end() ? kMissing : *it;
  }
  absl::Status RefuseRest() const {
    for (const auto& [key, value] : json_.items()) {
      if (taken_.count(key) == 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("\"", key, "\" is unknown or one payload too many"));
      }
    }
    return absl::OkStatus();
  }

 private:
  const Json& json_;
  std::set<std::string> taken_;
};

absl::Status ReadEnvelope(LineReader& reader, v1::Task& task) {
  if (reader.Has("external_id")) {
    ASSIGN_OR_RETURN(*task.mutable_external_id(), reader.Text("external_id"));
  }
  if (reader.Has("group")) {
    ASSIGN_OR_RETURN(*task.mutable_group(), reader.Text("group"));
  }
  if (reader.Has("priority")) {
    const Json& value = reader.Take("priority");
    if (!value.is_number_integer() || value < 0 || value > 9) return Wrong("priority", "0–9");
    task.set_priority(value.get<int>());
  }
  if (reader.Has("start_time")) {
    ASSIGN_OR_RETURN(const std::string text, reader.Text("start_time"));
    if (!google::protobuf::util::TimeUtil::FromString(text, task.mutable_start_time())) {
      return Wrong("start_time", "a time as in RFC 3339, 2026-01-31T12:00:00Z");
    }
  }
  return absl::OkStatus();
}

// A pair whose better reply is known. Which side it stands on comes from the texts, so that it is
// the better one on neither side for sure, and the same each time.
absl::Status ReadJudgedPair(LineReader& reader, const std::string& prompt, TaskLine& line) {
  ASSIGN_OR_RETURN(const std::string chosen, reader.Text("chosen"));
  ASSIGN_OR_RETURN(const std::string rejected, reader.Text("rejected"));
  const bool a_better = StableHash64(absl::StrCat(prompt, "|", chosen, "|", rejected)) % 2 == 0;
  auto* pair = line.task.mutable_payload()->mutable_pair();
  pair->set_prompt(prompt);
  pair->set_response_a(a_better ? chosen : rejected);
  pair->set_response_b(a_better ? rejected : chosen);
  line.answer.emplace().set_preferred(a_better ? v1::Answer::SIDE_A : v1::Answer::SIDE_B);
  return absl::OkStatus();
}

absl::Status ReadPrompted(LineReader& reader, TaskLine& line) {
  v1::Payload& payload = *line.task.mutable_payload();
  std::string prompt;
  if (reader.Has("prompt")) {
    ASSIGN_OR_RETURN(prompt, reader.Text("prompt"));
  }
  if (reader.Has("chosen") || reader.Has("rejected")) return ReadJudgedPair(reader, prompt, line);
  if (reader.Has("response_a") || reader.Has("response_b")) {
    payload.mutable_pair()->set_prompt(prompt);
    ASSIGN_OR_RETURN(*payload.mutable_pair()->mutable_response_a(), reader.Text("response_a"));
    ASSIGN_OR_RETURN(*payload.mutable_pair()->mutable_response_b(), reader.Text("response_b"));
  } else if (reader.Has("responses")) {
    payload.mutable_ranking()->set_prompt(prompt);
    ASSIGN_OR_RETURN(const std::vector<std::string> responses, reader.Texts("responses"));
    payload.mutable_ranking()->mutable_responses()->Assign(responses.begin(), responses.end());
  } else {
    payload.mutable_free_text()->set_prompt(prompt);
  }
  return absl::OkStatus();
}

absl::Status ReadPayload(LineReader& reader, TaskLine& line) {
  v1::Payload& payload = *line.task.mutable_payload();
  if (reader.Has("image")) {
    ASSIGN_OR_RETURN(line.image_file, reader.Text("image"));
    if (line.image_file.empty()) return Wrong("image", "a path");
    payload.mutable_image_text();
  } else if (reader.Has("blob")) {
    ASSIGN_OR_RETURN(*payload.mutable_image_text()->mutable_blob(), reader.Text("blob"));
  } else if (reader.Has("class_text")) {
    ASSIGN_OR_RETURN(*payload.mutable_class_item()->mutable_text(), reader.Text("class_text"));
  } else if (reader.Has("rating_text")) {
    ASSIGN_OR_RETURN(*payload.mutable_rating()->mutable_text(), reader.Text("rating_text"));
  } else if (reader.Has("prompt") || reader.Has("response_a") || reader.Has("responses") ||
             reader.Has("chosen")) {
    return ReadPrompted(reader, line);
  } else {
    return absl::InvalidArgumentError(
        "no payload: give \"image\", \"blob\", \"class_text\", \"rating_text\" or \"prompt\"");
  }
  return absl::OkStatus();
}

absl::Status ReadSide(const Json& value, v1::Answer& answer) {
  if (value == "a") {
    answer.set_preferred(v1::Answer::SIDE_A);
  } else if (value == "b") {
    answer.set_preferred(v1::Answer::SIDE_B);
  } else if (value == "tie") {
    answer.set_preferred(v1::Answer::SIDE_TIE);
  } else {
    return Wrong("answer", "\"a\", \"b\" or \"tie\"");
  }
  return absl::OkStatus();
}

absl::Status ReadOrder(const Json& value, v1::Answer& answer) {
  if (!value.is_array()) return Wrong("answer", "a list of indices, best first");
  for (const Json& index : value) {
    if (!index.is_number_integer()) return Wrong("answer", "a list of indices, best first");
    answer.mutable_order()->add_best_first(index.get<int>());
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Answer> ReadAnswer(const Json& value, v1::TaskKind kind) {
  v1::Answer answer;
  if (kind == v1::TASK_KIND_PAIR) {
    RETURN_IF_ERROR(ReadSide(value, answer));
  } else if (kind == v1::TASK_KIND_RANKING) {
    RETURN_IF_ERROR(ReadOrder(value, answer));
  } else if (kind == v1::TASK_KIND_RATING) {
    if (!value.is_number()) return Wrong("answer", "a number");
    answer.set_rating(value.get<double>());
  } else {
    if (!value.is_string()) return Wrong("answer", "a string");
    const std::string text = value.get<std::string>();
    if (kind == v1::TASK_KIND_CLASS) answer.set_class_name(text);
    if (kind == v1::TASK_KIND_FREE_TEXT) answer.set_free_text(text);
    if (kind == v1::TASK_KIND_IMAGE_TEXT) answer.set_text(text);
  }
  return answer;
}

absl::StatusOr<TaskLine> ReadLine(const Json& json) {
  if (!json.is_object()) return absl::InvalidArgumentError("not a JSON object");
  TaskLine line;
  LineReader reader(json);
  RETURN_IF_ERROR(ReadEnvelope(reader, line.task));
  RETURN_IF_ERROR(ReadPayload(reader, line));
  if (reader.Has("answer") && !line.answer.has_value()) {
    ASSIGN_OR_RETURN(line.answer, ReadAnswer(reader.Take("answer"), KindOf(line.task.payload())));
  }
  RETURN_IF_ERROR(reader.RefuseRest());
  return line;
}

}  // namespace

v1::TaskKind KindOf(const v1::Payload& payload) {
  switch (payload.kind_case()) {
    case v1::Payload::kImageText:
      return v1::TASK_KIND_IMAGE_TEXT;
    case v1::Payload::kClassItem:
      return v1::TASK_KIND_CLASS;
    case v1::Payload::kPair:
      return v1::TASK_KIND_PAIR;
    case v1::Payload::kRanking:
      return v1::TASK_KIND_RANKING;
    case v1::Payload::kRating:
      return v1::TASK_KIND_RATING;
    case v1::Payload::kFreeText:
      return v1::TASK_KIND_FREE_TEXT;
    case v1::Payload::KIND_NOT_SET:
      return v1::TASK_KIND_UNSPECIFIED;
  }
  return v1::TASK_KIND_UNSPECIFIED;
}

absl::StatusOr<TaskLine> ParseTaskLine(absl::string_view text, const std::string& source,
                                       int line) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  absl::StatusOr<TaskLine> parsed = ReadLine(json);
  if (!parsed.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(source, ":", line, ": ", parsed.status().message()));
  }
  parsed->line = line;
  return parsed;
}

absl::StatusOr<std::vector<TaskLine>> ParseTaskLines(absl::string_view text,
                                                     const std::string& source) {
  std::vector<TaskLine> lines;
  int number = 0;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    if (absl::StripAsciiWhitespace(line).empty()) continue;
    ASSIGN_OR_RETURN(TaskLine parsed, ParseTaskLine(line, source, number));
    lines.push_back(std::move(parsed));
  }
  return lines;
}

}  // namespace fairlead::cli
