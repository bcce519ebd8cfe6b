// One segment file of the record log: its name, its framing and the scan that checks it.
// Not thread-safe; record_log.cc guards it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead {

inline constexpr int64_t kSegmentMagicBytes = 8;
inline constexpr int64_t kRecordHeaderBytes = 8;
inline constexpr absl::string_view kSegmentMagic("FLRLOG01", 8);

// Where the records of one segment are. Positions are the log's (see record_log.h).
struct Segment {
  int64_t first = 0;  // Position of the first record.
  int64_t end = 0;    // Position after the last one.
  // Positions at which a record begins, one every 64 KiB or so, the first one included.
  std::vector<int64_t> marks;

  int64_t OffsetOf(int64_t position) const { return kSegmentMagicBytes + position - first; }
  // Notes that a record of `framed` bytes was put at the end.
  void Extend(int64_t framed);
  // The last mark at or before `position`.
  int64_t MarkBefore(int64_t position) const;
};

std::string SegmentName(int64_t first);
// The position in a segment's name, or -1 when the name is no segment's.
int64_t SegmentFirst(absl::string_view name);

// The record with its header in front, as it stands in the file.
std::string FrameRecord(absl::string_view record);

// A run of records in an open segment file. Reads ahead in blocks of 256 KiB.
class SegmentReader {
 public:
  // Reads records from file offset `offset` and never past `limit`.
  SegmentReader(int fd, int64_t offset, int64_t limit) : fd_(fd), offset_(offset), limit_(limit) {}

  // The next record; valid until the next call. OUT_OF_RANGE at the limit, DATA_LOSS (reason
  // RECORD_DAMAGED) when no whole, matching record stands at offset().
  absl::StatusOr<absl::string_view> Next();
  // File offset of the record that Next() will return.
  int64_t offset() const { return offset_; }

 private:
  // Has `count` bytes from offset_ in the block, or fewer at the limit.
  absl::Status Fill(int64_t count);
  absl::string_view Ahead() const;

  const int fd_;
  int64_t offset_;
  const int64_t limit_;
  std::string block_;
  int64_t block_offset_ = 0;
};

// Checks magic and every record of an open segment file of `size` bytes and builds its marks.
// Stops at the first bad byte: segment.end is the position up to which all is well.
struct SegmentScan {
  Segment segment;
  bool has_magic = false;
  absl::Status damage;  // OK when the whole file is well.
};
absl::StatusOr<SegmentScan> ScanSegment(int fd, int64_t first, int64_t size);

}  // namespace fairlead
