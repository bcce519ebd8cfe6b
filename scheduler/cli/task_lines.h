// Tasks written as JSON, one object a line. Besides the optional keys of every task (external_id,
// group, priority, start_time) a line holds one payload:
//   {"image": "a.png"}  (a path relative to the file)   {"blob": "<sha-256>"}
//   {"prompt": "…", "response_a": "…", "response_b": "…"}   {"prompt": "…", "responses": ["…",
//   "…"]}
//   {"prompt": "…", "chosen": "…", "rejected": "…"}  (a pair whose answer is known; sides by
//   digest)
//   {"class_text": "…"}   {"rating_text": "…"}   {"prompt": "…"}
// and, for gold, its answer: {"answer": "…"} for text, class and free text, a number for a rating,
// "a" | "b" | "tie" for a pair, a list of indices, best first, for a ranking.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "fairlead/v1/resources.pb.h"

namespace fairlead::cli {

struct TaskLine {
  v1::Task task;
  std::string image_file;  // Not yet in `task`; empty unless the line names one.
  std::optional<v1::Answer> answer;
  int line = 0;  // From 1.
};

// INVALID_ARGUMENT "SOURCE:LINE: …" for what is not JSON, an unknown key, a wrong type, no payload
// or two. Empty lines are skipped. Lengths are the server's business.
absl::StatusOr<TaskLine> ParseTaskLine(absl::string_view text, const std::string& source, int line);
absl::StatusOr<std::vector<TaskLine>> ParseTaskLines(absl::string_view text,
                                                     const std::string& source);

// The kind that a payload belongs to.
v1::TaskKind KindOf(const v1::Payload& payload);

}  // namespace fairlead::cli
