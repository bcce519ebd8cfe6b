// The record log: an append-only file of opaque records, fsynced in groups (hop 3 of the way of one
// task: what is appended and synced here is what may be acknowledged).
//
// Format of a segment, little-endian: the 8 bytes "FLRLOG01", then records of
//   u32 length | u32 CRC-32C of the payload | payload.
// A record is never empty, so that a tail of zeros cannot pass for records. A torn tail (short or
// failing its CRC, in the newest segment only) is cut at open; a bad record anywhere else is
// DATA_LOSS. A segment is on disk, name and all, before the first record of the next one is taken.
// Segments are `<first position, 20 digits>.log`; a position is the number of bytes of records
// before it over all segments, so positions only grow.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead {

struct RecordLogOptions {
  std::string directory;                // Created when missing (mode 0700).
  int64_t segment_bytes = 64 << 20;     // A segment is closed when it grows past this.
  int64_t max_record_bytes = 16 << 20;  // Larger or empty appends: INVALID_ARGUMENT.
};

class RecordLog {
 public:
  // Opens or creates, cutting a torn tail. FAILED_PRECONDITION when another process has it open
  // (flock), DATA_LOSS when a closed segment is damaged: refuse to start then, lose nothing
  // silently.
  static absl::StatusOr<std::unique_ptr<RecordLog>> Open(const RecordLogOptions& options);
  virtual ~RecordLog() = default;

  // Buffers records, all or, with an error, none; returns their positions. Durable only after Sync.
  // Thread-safe; order of return positions is the order in the file. UNAVAILABLE with reason
  // RECORD_LOG_FULL when the disk has no room: the log is as it was, and takes records again once
  // there is some.
  virtual absl::StatusOr<std::vector<int64_t>> AppendAll(
      const std::vector<std::string>& records) = 0;
  // The same of one record; returns its position.
  absl::StatusOr<int64_t> Append(absl::string_view record);

  // Returns when every record appended before the call is on disk. Concurrent calls share one
  // fsync. After a failed fsync, or a write that failed for another reason than a full disk, the
  // log is broken: this and every later call is UNAVAILABLE with reason RECORD_LOG_BROKEN, and the
  // process must not acknowledge anything more.
  virtual absl::Status Sync() = 0;

  // Calls `visit(position, record)` for every record at or after `from`, in order, up to what was
  // appended when the call began; stops at the first error and returns it. Thread-safe.
  virtual absl::Status Read(
      int64_t from,
      const std::function<absl::Status(int64_t position, absl::string_view record)>& visit) = 0;

  // One record by its position. NOT_FOUND when no record begins there.
  virtual absl::StatusOr<std::string> ReadAt(int64_t position) = 0;

  // The position the next record will have.
  virtual int64_t End() const = 0;
  // Bytes cut from a torn tail at open.
  virtual int64_t CutBytes() const = 0;
};

}  // namespace fairlead
