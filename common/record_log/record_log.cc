#include "common/record_log/record_log.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/record_log/segment.h"

namespace fairlead {
namespace {

absl::StatusOr<FileDescriptor> LockDirectory(const std::string& directory) {
  ASSIGN_OR_RETURN(FileDescriptor lock,
                   OpenFile(absl::StrCat(directory, "/LOCK"), O_RDWR | O_CREAT));
  if (::flock(lock.get(), LOCK_EX | LOCK_NB) == 0) return lock;
  if (errno != EWOULDBLOCK) return ErrnoStatus(absl::StrCat("cannot lock ", directory));
  return Error(absl::StatusCode::kFailedPrecondition, "RECORD_LOG_LOCKED",
               absl::StrCat("the record log in ", directory, " is open in another process"));
}

// First positions of all segments, ascending.
absl::StatusOr<std::vector<int64_t>> ListSegments(const std::string& directory) {
  std::vector<int64_t> firsts;
  std::error_code error;
  std::filesystem::directory_iterator entry(directory, error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const int64_t first = SegmentFirst(entry->path().filename().string());
    if (first >= 0) firsts.push_back(first);
  }
  if (error) {
    return absl::UnavailableError(absl::StrCat("cannot list ", directory, ": ", error.message()));
  }
  std::sort(firsts.begin(), firsts.end());
  return firsts;
}

absl::Status Broken() {
  return Error(absl::StatusCode::kUnavailable, "RECORD_LOG_BROKEN",
               "the record log failed a write and takes nothing more until the process restarts");
}

class FileRecordLog final : public RecordLog {
 public:
  explicit FileRecordLog(RecordLogOptions options) : options_(std::move(options)) {}

  absl::Status Recover();
  absl::StatusOr<std::vector<int64_t>> AppendAll(const std::vector<std::string>& records) override;
  absl::Status Sync() override;
  absl::Status Read(int64_t from,
                    const std::function<absl::Status(int64_t, absl::string_view)>& visit) override;
  absl::StatusOr<std::string> ReadAt(int64_t position) override;
  int64_t End() const override;
  int64_t CutBytes() const override { return cut_bytes_; }

 private:
  // A part of one segment file to be read.
  struct Span {
    std::string path;
    int64_t first = 0;  // Of the segment.
    int64_t begin = 0;  // A position at which a record begins.
    int64_t end = 0;
  };

  std::string PathOf(int64_t first) const {
    return absl::StrCat(options_.directory, "/", SegmentName(first));
  }
  int64_t EndLocked() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_) { return segments_.back().end; }
  absl::Status RecoverSegment(int64_t first, bool newest) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CutTail(int fd, const std::string& path, const SegmentScan& scan, int64_t size);
  absl::Status OpenSegment(int64_t first) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status CloseSegment() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Write(absl::string_view framed) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Break(const absl::Status& cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  absl::Status Full(const absl::Status& cause) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void LeadSync() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  Span SpanAt(int64_t position) const;
  absl::Status ReadSpan(const Span& span, int64_t from, int64_t until,
                        const std::function<absl::Status(int64_t, absl::string_view)>& visit) const;

  const RecordLogOptions options_;
  int64_t cut_bytes_ = 0;  // Fixed after Recover.
  FileDescriptor lock_;

  mutable Mutex mu_;
  CondVar sync_done_;
  std::vector<Segment> segments_ ABSL_GUARDED_BY(mu_);
  // The newest segment's file. Shared, so that an fsync under way outlives a change of segment.
  std::shared_ptr<const FileDescriptor> file_ ABSL_GUARDED_BY(mu_);
  int64_t synced_ ABSL_GUARDED_BY(mu_) = 0;
  bool syncing_ ABSL_GUARDED_BY(mu_) = false;
  bool broken_ ABSL_GUARDED_BY(mu_) = false;
  bool full_ ABSL_GUARDED_BY(mu_) = false;  // The last write found no room.
};

absl::Status FileRecordLog::Recover() {
  RETURN_IF_ERROR(CreateDirectories(options_.directory));
  ASSIGN_OR_RETURN(lock_, LockDirectory(options_.directory));
  ASSIGN_OR_RETURN(const std::vector<int64_t> firsts, ListSegments(options_.directory));
  MutexLock lock(&mu_);
  for (int64_t first : firsts) RETURN_IF_ERROR(RecoverSegment(first, first == firsts.back()));
  if (segments_.empty()) RETURN_IF_ERROR(OpenSegment(0));
  // What an earlier process wrote without syncing is read from now on, so it must be durable too.
  if (::fdatasync(file_->get()) != 0) return ErrnoStatus("cannot fsync the newest segment");
  RETURN_IF_ERROR(SyncDirectory(options_.directory));
  synced_ = EndLocked();
  return absl::OkStatus();
}

absl::Status FileRecordLog::RecoverSegment(int64_t first, bool newest) {
  const std::string path = PathOf(first);
  if (!segments_.empty() && EndLocked() != first) {
    return Error(
        absl::StatusCode::kDataLoss, "RECORD_LOG_GAP",
        absl::StrCat("records ", EndLocked(), " to ", first, " are missing before ", path));
  }
  ASSIGN_OR_RETURN(FileDescriptor file, OpenFile(path, O_RDWR | O_APPEND));
  struct stat state;
  if (::fstat(file.get(), &state) != 0) return ErrnoStatus(absl::StrCat("cannot stat ", path));
  ASSIGN_OR_RETURN(SegmentScan scan, ScanSegment(file.get(), first, state.st_size));
  if (!scan.damage.ok()) {
    if (!newest) return Annotate(scan.damage, path);
    RETURN_IF_ERROR(CutTail(file.get(), path, scan, state.st_size));
  }
  segments_.push_back(std::move(scan.segment));
  if (newest) file_ = std::make_shared<const FileDescriptor>(std::move(file));
  return absl::OkStatus();
}

absl::Status FileRecordLog::CutTail(int fd, const std::string& path, const SegmentScan& scan,
                                    int64_t size) {
  const int64_t good = scan.has_magic ? scan.segment.OffsetOf(scan.segment.end) : 0;
  // A segment's magic is synced before any record follows, so a bad one with records is no torn
  // tail.
  if (!scan.has_magic && size > kSegmentMagicBytes) return Annotate(scan.damage, path);
  FAIRLEAD_LOG(WARNING) << "cutting a torn tail file=" << path << " keep=" << good
                        << " cut=" << size - good << " cause=\"" << scan.damage.message() << "\"";
  if (::ftruncate(fd, good) != 0) return ErrnoStatus(absl::StrCat("cannot cut ", path));
  if (!scan.has_magic) RETURN_IF_ERROR(WriteAll(fd, kSegmentMagic));
  cut_bytes_ += size - good;
  return absl::OkStatus();
}

absl::Status FileRecordLog::OpenSegment(int64_t first) {
  const std::string path = PathOf(first);
  ASSIGN_OR_RETURN(FileDescriptor file, OpenFile(path, O_RDWR | O_APPEND | O_CREAT | O_EXCL));
  if (absl::Status written = WriteAll(file.get(), kSegmentMagic); !written.ok()) {
    // So that it can be created again once there is room.
    if (::unlink(path.c_str()) != 0) return ErrnoStatus(absl::StrCat("cannot remove ", path));
    return Annotate(written, path);
  }
  if (::fdatasync(file.get()) != 0) return ErrnoStatus(absl::StrCat("cannot fsync ", path));
  RETURN_IF_ERROR(SyncDirectory(options_.directory));
  Segment segment;
  segment.first = first;
  segment.end = first;
  segments_.push_back(std::move(segment));
  file_ = std::make_shared<const FileDescriptor>(std::move(file));
  return absl::OkStatus();
}

absl::Status FileRecordLog::CloseSegment() {
  if (::fdatasync(file_->get()) != 0) return ErrnoStatus("cannot fsync a full segment");
  synced_ = EndLocked();
  return OpenSegment(EndLocked());
}

absl::Status FileRecordLog::Break(const absl::Status& cause) {
  broken_ = true;
  sync_done_.NotifyAll();
  FAIRLEAD_LOG(ERROR) << "record log broken directory=" << options_.directory
                      << " end=" << EndLocked() << " synced=" << synced_ << " cause=\""
                      << cause.message() << "\"";
  return Broken();
}

absl::Status FileRecordLog::Full(const absl::Status& cause) {
  if (!full_) {
    FAIRLEAD_LOG(ERROR) << "no room for the record log directory=" << options_.directory
                        << " cause=\"" << cause.message() << "\"";
  }
  full_ = true;
  return Error(absl::StatusCode::kUnavailable, "RECORD_LOG_FULL",
               absl::StrCat("no room for the record log in ", options_.directory,
                            ": free some, nothing is taken until then"));
}

// Behind what there is, wholly or not at all.
absl::Status FileRecordLog::Write(absl::string_view framed) {
  const Segment& newest = segments_.back();
  if (newest.end > newest.first && newest.OffsetOf(newest.end) > options_.segment_bytes) {
    const absl::Status closed = CloseSegment();
    if (absl::IsResourceExhausted(closed)) return Full(closed);
    if (!closed.ok()) return Break(closed);
  }
  const absl::Status written = WriteAll(file_->get(), framed);
  if (written.ok()) {
    if (full_) FAIRLEAD_LOG(INFO) << "the record log has room again";
    full_ = false;
    return absl::OkStatus();
  }
  const Segment& now = segments_.back();
  if (!absl::IsResourceExhausted(written)) return Break(written);
  if (::ftruncate(file_->get(), now.OffsetOf(now.end)) != 0) return Break(written);
  return Full(written);
}

absl::StatusOr<std::vector<int64_t>> FileRecordLog::AppendAll(
    const std::vector<std::string>& records) {
  std::string framed;
  std::vector<int64_t> positions;  // From the first.
  for (const std::string& record : records) {
    if (record.empty() || static_cast<int64_t>(record.size()) > options_.max_record_bytes) {
      return Error(absl::StatusCode::kInvalidArgument, "RECORD_SIZE",
                   absl::StrCat("a record of ", record.size(), " bytes; 1 to ",
                                options_.max_record_bytes, " are taken"));
    }
    positions.push_back(static_cast<int64_t>(framed.size()));
    framed += FrameRecord(record);
  }
  if (records.empty()) return positions;
  MutexLock lock(&mu_);
  if (broken_) return Broken();
  RETURN_IF_ERROR(Write(framed));
  const int64_t begin = EndLocked();
  for (size_t i = 0; i < positions.size(); ++i) {
    const int64_t end =
        i + 1 < positions.size() ? positions[i + 1] : static_cast<int64_t>(framed.size());
    segments_.back().Extend(end - positions[i]);
    positions[i] += begin;
  }
  return positions;
}

absl::Status FileRecordLog::Sync() {
  MutexLock lock(&mu_);
  const int64_t target = EndLocked();
  while (!broken_ && synced_ < target) {
    if (syncing_) {
      sync_done_.Wait(&mu_);
    } else {
      LeadSync();
    }
  }
  return broken_ ? Broken() : absl::OkStatus();
}

// Syncs for every caller that waits. Appends go on meanwhile; they are left to the next leader.
// Closed segments are durable already, so the newest file is all there is to sync.
void FileRecordLog::LeadSync() {
  syncing_ = true;
  const int64_t reached = EndLocked();
  const std::shared_ptr<const FileDescriptor> file = file_;
  mu_.Unlock();
  absl::Status status;
  if (::fdatasync(file->get()) != 0) status = ErrnoStatus("cannot fsync the newest segment");
  mu_.Lock();
  syncing_ = false;
  if (status.ok()) {
    synced_ = std::max(synced_, reached);
    sync_done_.NotifyAll();
  } else {
    Break(status).IgnoreError();
  }
}

FileRecordLog::Span FileRecordLog::SpanAt(int64_t position) const {
  MutexLock lock(&mu_);
  auto after =
      std::upper_bound(segments_.begin(), segments_.end(), position,
                       [](int64_t value, const Segment& segment) { return value < segment.first; });
  const Segment& segment = after == segments_.begin() ? *after : *(after - 1);
  return Span{PathOf(segment.first), segment.first, segment.MarkBefore(position), segment.end};
}

absl::Status FileRecordLog::ReadSpan(
    const Span& span, int64_t from, int64_t until,
    const std::function<absl::Status(int64_t, absl::string_view)>& visit) const {
  ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(span.path, O_RDONLY));
  Segment segment;
  segment.first = span.first;
  SegmentReader reader(file.get(), segment.OffsetOf(span.begin),
                       segment.OffsetOf(std::min(span.end, until)));
  while (true) {
    const int64_t position = span.first + reader.offset() - kSegmentMagicBytes;
    const absl::StatusOr<absl::string_view> record = reader.Next();
    if (absl::IsOutOfRange(record.status())) return absl::OkStatus();
    if (!record.ok()) return Annotate(record.status(), span.path);
    if (position >= from) RETURN_IF_ERROR(visit(position, *record));
  }
}

absl::Status FileRecordLog::Read(
    int64_t from, const std::function<absl::Status(int64_t, absl::string_view)>& visit) {
  const int64_t until = End();
  int64_t position = from;
  while (position < until) {
    const Span span = SpanAt(position);
    RETURN_IF_ERROR(ReadSpan(span, from, until, visit));
    position = span.end;
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> FileRecordLog::ReadAt(int64_t position) {
  std::string found;
  const int64_t end = End();
  if (position >= 0 && position < end) {
    const absl::Status read =
        ReadSpan(SpanAt(position), position, end, [&](int64_t at, absl::string_view record) {
          if (at == position) found = std::string(record);
          return absl::CancelledError();  // Enough.
        });
    if (!read.ok() && !absl::IsCancelled(read)) return read;
  }
  if (!found.empty()) return found;
  return Error(absl::StatusCode::kNotFound, "RECORD_NOT_FOUND",
               absl::StrCat("no record begins at position ", position));
}

int64_t FileRecordLog::End() const {
  MutexLock lock(&mu_);
  return EndLocked();
}

}  // namespace

absl::StatusOr<int64_t> RecordLog::Append(absl::string_view record) {
  ASSIGN_OR_RETURN(const std::vector<int64_t> positions, AppendAll({std::string(record)}));
  return positions[0];
}

absl::StatusOr<std::unique_ptr<RecordLog>> RecordLog::Open(const RecordLogOptions& options) {
  auto log = std::make_unique<FileRecordLog>(options);
  RETURN_IF_ERROR(Annotate(log->Recover(), absl::StrCat("record log in ", options.directory)));
  return log;
}

}  // namespace fairlead
