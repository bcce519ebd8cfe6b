// Comma-separated values after RFC 4180, streamed: quoted fields may hold commas, doubled quotes
// and line breaks; lines end in LF or CRLF; a byte order mark is skipped; blank lines are no rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead::cli {

// One file, read from start to end in constant memory besides the longest row. Not thread-safe.
class CsvReader {
 public:
  // NOT_FOUND naming the path, INVALID_ARGUMENT for a file without a header row.
  static absl::StatusOr<CsvReader> Open(const std::string& path);

  const std::vector<std::string>& header() const { return header_; }
  // The column's place in the header, by exact name; NOT_FOUND ("PATH:1: …") listing what there is.
  absl::StatusOr<size_t> Column(absl::string_view name) const;

  // The next row into `row`; false at the end. INVALID_ARGUMENT "PATH:LINE: …" for a quote that is
  // never closed, for text after a closing quote, and for another number of fields than the header
  // has.
  absl::StatusOr<bool> Next(std::vector<std::string>& row);

  // Where the latest row began, from 1, the header's being 1; and a failure there.
  int64_t line() const { return row_line_; }
  absl::Status Fail(absl::string_view problem) const;
  const std::string& path() const { return path_; }

 private:
  CsvReader() = default;
  absl::StatusOr<bool> ReadRow(std::vector<std::string>& row);
  absl::Status ReadQuoted(std::string& field);
  int Get();
  int Peek();

  std::string path_;
  std::ifstream in_;
  std::vector<char> buffer_;
  size_t at_ = 0, end_ = 0;
  int64_t line_ = 1, row_line_ = 1;
  std::vector<std::string> header_;
};

// The field as it stands in a row: quoted where it must be.
std::string CsvField(absl::string_view text);

}  // namespace fairlead::cli
