#include "scheduler/cli/csv.h"

#include <cerrno>
#include <cstring>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"

namespace fairlead::cli {
namespace {

constexpr size_t kBufferBytes = 1 << 18;
constexpr int kEnd = -1;

}  // namespace

absl::StatusOr<CsvReader> CsvReader::Open(const std::string& path) {
  CsvReader reader;
  reader.path_ = path;
  reader.in_.open(path, std::ios::binary);
  if (!reader.in_) {
    return absl::NotFoundError(absl::StrCat(path, ": cannot be opened: ", std::strerror(errno)));
  }
  reader.buffer_.resize(kBufferBytes);
  if (reader.Peek() == 0xef) {
    for (int i = 0; i < 3 && reader.Peek() >= 0x80; ++i) reader.Get();
  }
  ASSIGN_OR_RETURN(const bool any, reader.ReadRow(reader.header_));
  if (!any)
    return absl::InvalidArgumentError(absl::StrCat(path, ": empty; a header row is needed"));
  return reader;
}

absl::StatusOr<size_t> CsvReader::Column(absl::string_view name) const {
  const auto found = std::find(header_.begin(), header_.end(), name);
  if (found != header_.end()) return static_cast<size_t>(found - header_.begin());
  return absl::NotFoundError(absl::StrCat(path_, ":1: no column '", name,
                                          "'; the header row has: ", absl::StrJoin(header_, ", ")));
}

absl::StatusOr<bool> CsvReader::Next(std::vector<std::string>& row) {
  ASSIGN_OR_RETURN(const bool any, ReadRow(row));
  if (!any) return false;
  if (row.size() == header_.size()) return true;
  return Fail(absl::StrCat(row.size(), " fields where the header has ", header_.size(),
                           "; put fields that contain commas in double quotes"));
}

absl::Status CsvReader::Fail(absl::string_view problem) const {
  return absl::InvalidArgumentError(absl::StrCat(path_, ":", row_line_, ": ", problem));
}

int CsvReader::Peek() {
  if (at_ == end_) {
    if (!in_) return kEnd;
    in_.read(buffer_.data(), static_cast<std::streamsize>(buffer_.size()));
    at_ = 0;
    end_ = static_cast<size_t>(in_.gcount());
    if (end_ == 0) return kEnd;
  }
  return static_cast<unsigned char>(buffer_[at_]);
}

int CsvReader::Get() {
  const int c = Peek();
  if (c == kEnd) return c;
  ++at_;
  if (c == '\n') ++line_;
  return c;
}

absl::Status CsvReader::ReadQuoted(std::string& field) {
  while (true) {
    const int c = Get();
    if (c == kEnd) return Fail("a double quote is opened here and never closed");
    if (c == '"') {
      if (Peek() != '"') break;
      Get();
    }
    field.push_back(static_cast<char>(c));
  }
  const int next = Peek();
  if (next == ',' || next == '\n' || next == '\r' || next == kEnd) return absl::OkStatus();
  return Fail("text after a closing double quote; write a quote inside a field as two");
}

absl::StatusOr<bool> CsvReader::ReadRow(std::vector<std::string>& row) {
  while (Peek() == '\n' || Peek() == '\r') Get();
  row_line_ = line_;
  if (Peek() == kEnd) return false;
  size_t fields = 0;
  while (true) {
    if (fields == row.size()) row.emplace_back();
    std::string& field = row[fields++];
    field.clear();
    if (Peek() == '"') {
      Get();
      RETURN_IF_ERROR(ReadQuoted(field));
    }
    int c = Get();
    for (; c != ',' && c != '\n' && c != kEnd; c = Get()) field.push_back(static_cast<char>(c));
    if (c == ',') continue;
    if (!field.empty() && field.back() == '\r') field.pop_back();
    row.resize(fields);
    return true;
  }
}

std::string CsvField(absl::string_view text) {
  if (text.find_first_of(",\"\r\n") == absl::string_view::npos) return std::string(text);
  return absl::StrCat("\"", absl::StrReplaceAll(text, {{"\"", "\"\""}}), "\"");
}

}  // namespace fairlead::cli
