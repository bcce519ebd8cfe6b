#include "common/record_log/segment.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/status.h"

namespace fairlead {
namespace {

constexpr int64_t kMarkBytes = 64 << 10;
constexpr int64_t kBlockBytes = 256 << 10;

void Put32(uint32_t value, std::string* out) {
  for (int shift = 0; shift < 32; shift += 8) out->push_back(static_cast<char>(value >> shift));
}

uint32_t Get32(absl::string_view bytes) {
  uint32_t value = 0;
  for (int i = 0; i < 4; ++i) {
    value |= static_cast<uint32_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
  }
  return value;
}

absl::Status Damaged(absl::string_view what, int64_t offset) {
  return Error(absl::StatusCode::kDataLoss, "RECORD_DAMAGED",
               absl::StrCat(what, " at byte ", offset, " of the segment"));
}

}  // namespace

void Segment::Extend(int64_t framed) {
  if (marks.empty() || end - marks.back() >= kMarkBytes) marks.push_back(end);
  end += framed;
}

int64_t Segment::MarkBefore(int64_t position) const {
  const auto after = std::upper_bound(marks.begin(), marks.end(), position);
  return after == marks.begin() ? first : *(after - 1);
}

std::string SegmentName(int64_t first) { return absl::StrFormat("%020d.log", first); }

int64_t SegmentFirst(absl::string_view name) {
  int64_t first = 0;
  if (name.size() != 24 || name.substr(20) != ".log") return -1;
  if (!absl::SimpleAtoi(name.substr(0, 20), &first) || first < 0) return -1;
  return SegmentName(first) == name ? first : -1;
}

std::string FrameRecord(absl::string_view record) {
  std::string framed;
  framed.reserve(record.size() + kRecordHeaderBytes);
  Put32(static_cast<uint32_t>(record.size()), &framed);
  Put32(Crc32c(record), &framed);
  framed.append(record.data(), record.size());
  return framed;
}

absl::string_view SegmentReader::Ahead() const {
  return absl::string_view(block_).substr(static_cast<size_t>(offset_ - block_offset_));
}

absl::Status SegmentReader::Fill(int64_t count) {
  const int64_t block_end = block_offset_ + static_cast<int64_t>(block_.size());
  if (offset_ + count <= block_end) return absl::OkStatus();
  block_offset_ = offset_;
  return ReadAt(fd_, offset_, std::min(std::max(count, kBlockBytes), limit_ - offset_), &block_);
}

absl::StatusOr<absl::string_view> SegmentReader::Next() {
  if (offset_ >= limit_) return absl::OutOfRangeError("no more records");
  RETURN_IF_ERROR(Fill(std::min(kRecordHeaderBytes, limit_ - offset_)));
  if (static_cast<int64_t>(Ahead().size()) < kRecordHeaderBytes) {
    return Damaged("a record's header is cut short", offset_);
  }
  const int64_t length = Get32(Ahead());
  const uint32_t crc = Get32(Ahead().substr(4));
  if (length == 0) return Damaged("a record of length 0", offset_);
  if (length > limit_ - offset_ - kRecordHeaderBytes) {
    return Damaged(absl::StrCat("a record of ", length, " bytes is cut short"), offset_);
  }
  RETURN_IF_ERROR(Fill(kRecordHeaderBytes + length));
  if (static_cast<int64_t>(Ahead().size()) < kRecordHeaderBytes + length) {
    return Damaged("a record is missing", offset_);
  }
  const absl::string_view record = Ahead().substr(kRecordHeaderBytes, length);
  if (Crc32c(record) != crc) return Damaged("a record fails its checksum", offset_);
  offset_ += kRecordHeaderBytes + length;
  return record;
}

absl::StatusOr<SegmentScan> ScanSegment(int fd, int64_t first, int64_t size) {
  SegmentScan scan;
  scan.segment.first = first;
  scan.segment.end = first;
  std::string magic;
  RETURN_IF_ERROR(ReadAt(fd, 0, kSegmentMagicBytes, &magic));
  if (magic != kSegmentMagic) {
    scan.damage = Damaged("the segment's magic is missing", 0);
    return scan;
  }
  scan.has_magic = true;
  SegmentReader reader(fd, kSegmentMagicBytes, size);
  while (true) {
    const int64_t begin = reader.offset();
    const absl::StatusOr<absl::string_view> record = reader.Next();
    if (absl::IsOutOfRange(record.status())) return scan;
    if (absl::IsDataLoss(record.status())) {
      scan.damage = record.status();
      return scan;
    }
    RETURN_IF_ERROR(record.status());
    scan.segment.Extend(reader.offset() - begin);
  }
}

}  // namespace fairlead
