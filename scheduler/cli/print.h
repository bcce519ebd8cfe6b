// What the commands print: aligned tables for people, protobuf JSON for scripts, a progress line.
#pragma once

#include <string>
#include <vector>

#include "absl/time/time.h"
#include "fairlead/v1/resources.pb.h"
#include "google/protobuf/message.h"

namespace fairlead::cli {

// One line of JSON with the proto's field names; numbers of 64 bits are strings, as protobuf says.
std::string ToJson(const google::protobuf::Message& message);
// Prints ToJson and a newline to stdout.
void PrintJson(const google::protobuf::Message& message);

// Columns padded to their widest cell, two spaces between; the first row is the head. Widths are in
// UTF-8 characters.
std::string FormatTable(const std::vector<std::vector<std::string>>& rows);

// "2026-01-31 12:00:00" UTC, "" when unset.
std::string FormatTime(const google::protobuf::Timestamp& time);
// An answer as one word or text: "10.00", "A", "2>0>1", "4.5".
std::string FormatAnswer(const v1::Answer& answer);
// "$0.05"-like without a symbol: "0.05 USD".
std::string FormatMoney(int64_t micros, const std::string& currency);
// The metrics of both versions side by side with their change; "–" where one has none.
std::string FormatMetricChanges(const v1::ModelVersion& before, const v1::ModelVersion& after);
// The part behind the last '/'.
std::string LastPart(const std::string& name);

// One status line on stderr: rewritten in place at most once a second on a terminal, otherwise a
// line every 5 s. Not thread-safe.
class StatusLine {
 public:
  StatusLine();
  ~StatusLine();  // Ends the line.
  // Shows `text` when it is due, or at once with `now`.
  void Show(const std::string& text, bool at_once = false);

 private:
  const bool terminal_;
  bool open_ = false;
  absl::Time last_ = absl::InfinitePast();
};

}  // namespace fairlead::cli
