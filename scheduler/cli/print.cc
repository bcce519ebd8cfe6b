#include "scheduler/cli/print.h"

#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "google/protobuf/util/json_util.h"

namespace fairlead::cli {
namespace {

size_t Width(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

}  // namespace

std::string ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  return status.ok() ? json : "{}";
}

void PrintJson(const google::protobuf::Message& message) { std::cout << ToJson(message) << "\n"; }

std::string FormatTable(const std::vector<std::vector<std::string>>& rows) {
  std::vector<size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()), 0);
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], Width(row[i]));
  }
  std::string text;
  for (const auto& row : rows) {
    for (size_t i = 0; i < row.size(); ++i) {
      text += row[i];
      if (i + 1 < row.size()) text.append(widths[i] - Width(row[i]) + 2, ' ');
    }
    text += '\n';
  }
  return text;
}

std::string FormatTime(const google::protobuf::Timestamp& time) {
  if (time.seconds() == 0 && time.nanos() == 0) return "";
  return absl::FormatTime("%Y-%m-%d %H:%M:%S", absl::FromUnixSeconds(time.seconds()),
                          absl::UTCTimeZone());
}

std::string FormatAnswer(const v1::Answer& answer) {
  switch (answer.value_case()) {
    case v1::Answer::kText:
      return answer.text();
    case v1::Answer::kClassName:
      return answer.class_name();
    case v1::Answer::kPreferred:
      if (answer.preferred() == v1::Answer::SIDE_A) return "A";
      if (answer.preferred() == v1::Answer::SIDE_B) return "B";
      return answer.preferred() == v1::Answer::SIDE_TIE ? "tie" : "";
    case v1::Answer::kOrder:
      return absl::StrJoin(answer.order().best_first(), ">");
    case v1::Answer::kRating:
      return absl::StrCat(answer.rating());
    case v1::Answer::kFreeText:
      return answer.free_text();
    case v1::Answer::kReview:
      return absl::StrCat(v1::Answer::Review::Verdict_Name(answer.review().verdict()), " ",
                          answer.review().free_text(), answer.review().reason().empty() ? "" : " (",
                          answer.review().reason(), answer.review().reason().empty() ? "" : ")");
    case v1::Answer::VALUE_NOT_SET:
      return "";
  }
  return "";
}

std::string FormatMoney(int64_t micros, const std::string& currency) {
  return absl::StrFormat("%.4f %s", static_cast<double>(micros) / 1e6, currency);
}

std::string FormatMetricChanges(const v1::ModelVersion& before, const v1::ModelVersion& after) {
  std::set<std::string> names;
  for (const auto& [name, value] : before.metrics()) names.insert(name);
  for (const auto& [name, value] : after.metrics()) names.insert(name);
  std::vector<std::vector<std::string>> rows = {
      {"METRIC", LastPart(before.name()), LastPart(after.name()), "CHANGE"}};
  for (const std::string& name : names) {
    const auto old_value = before.metrics().find(name);
    const auto new_value = after.metrics().find(name);
    const bool had = old_value != before.metrics().end();
    const bool has = new_value != after.metrics().end();
    rows.push_back(
        {name, had ? absl::StrFormat("%.6g", old_value->second) : "–",
         has ? absl::StrFormat("%.6g", new_value->second) : "–",
         had && has ? absl::StrFormat("%+.6g", new_value->second - old_value->second) : ""});
  }
  return FormatTable(rows);
}

std::string LastPart(const std::string& name) {
  const size_t slash = name.rfind('/');
  return slash == std::string::npos ? name : name.substr(slash + 1);
}

StatusLine::StatusLine() : terminal_(isatty(STDERR_FILENO) == 1) {}

StatusLine::~StatusLine() {
  if (open_) std::cerr << "\n";
}

void StatusLine::Show(const std::string& text, bool at_once) {
  const absl::Time now = absl::Now();
  if (!at_once && now - last_ < (terminal_ ? absl::Seconds(1) : absl::Seconds(5))) return;
  last_ = now;
  if (!terminal_) {
    std::cerr << text << "\n";
    return;
  }
  std::cerr << "\r\033[K" << text << std::flush;
  open_ = true;
}

}  // namespace fairlead::cli
