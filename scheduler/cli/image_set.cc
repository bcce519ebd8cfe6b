#include "scheduler/cli/image_set.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <filesystem>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "common/image/image.h"
#include "scheduler/cli/file.h"

namespace fairlead::cli {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxImageBytes = 16 << 20;  // As the server's blobs of tasks.
constexpr size_t kArchiveBlockBytes = 1 << 16;

struct ArchiveCloser {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

bool IsImageName(const fs::path& path) {
  const std::string name = path.filename().string();
  return name != "labels.tsv" && name != "images.tar" && !name.empty() && name[0] != '.';
}

absl::Status VisitFolder(const fs::path& folder, const ImageVisitor& visit) {
  std::vector<fs::path> files;
  std::error_code error;
  for (fs::recursive_directory_iterator it(folder, error), end; !error && it != end;
       it.increment(error)) {
    if (it->is_regular_file(error) && IsImageName(it->path())) files.push_back(it->path());
  }
  if (error) return absl::UnavailableError(absl::StrCat("cannot list ", folder.string()));
  std::sort(files.begin(), files.end());
  for (const fs::path& file : files) {
    absl::StatusOr<std::string> bytes = ReadFile(file.string(), kMaxImageBytes);
    const absl::Status status = bytes.status();
    RETURN_IF_ERROR(visit(file.lexically_relative(folder).generic_string(),
                          bytes.ok() ? *std::move(bytes) : std::string(), status));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::string> ReadMember(archive* reader, archive_entry* entry) {
  const int64_t size = archive_entry_size(entry);
  if (size > kMaxImageBytes) {
    return absl::ResourceExhaustedError(
        absl::StrCat(size, " bytes, more than the ", kMaxImageBytes, " allowed"));
  }
  std::string bytes(static_cast<size_t>(std::max<int64_t>(0, size)), '\0');
  size_t filled = 0;
  while (filled < bytes.size()) {
    const la_ssize_t got = archive_read_data(reader, bytes.data() + filled, bytes.size() - filled);
    if (got <= 0) return absl::DataLossError("the archive ends inside this file");
    filled += static_cast<size_t>(got);
  }
  return bytes;
}

absl::Status VisitArchive(const std::string& path, const ImageVisitor& visit) {
  const std::unique_ptr<archive, ArchiveCloser> reader(archive_read_new());
  archive_read_support_filter_all(reader.get());
  archive_read_support_format_tar(reader.get());
  if (archive_read_open_filename(reader.get(), path.c_str(), kArchiveBlockBytes) != ARCHIVE_OK) {
    return absl::InvalidArgumentError(
        absl::StrCat(path, ": not a tar archive: ", archive_error_string(reader.get())));
  }
  archive_entry* entry = nullptr;
  while (true) {
    const int result = archive_read_next_header(reader.get(), &entry);
    if (result == ARCHIVE_EOF) return absl::OkStatus();
    if (result < ARCHIVE_WARN) {
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": damaged archive: ", archive_error_string(reader.get())));
    }
    const char* raw_name = archive_entry_pathname(entry);
    if (raw_name == nullptr || archive_entry_filetype(entry) != AE_IFREG) continue;
    const std::string name(absl::StripPrefix(raw_name, "./"));
    if (!IsImageName(name)) continue;
    absl::StatusOr<std::string> bytes = ReadMember(reader.get(), entry);
    const absl::Status status = bytes.status();
    RETURN_IF_ERROR(visit(name, bytes.ok() ? *std::move(bytes) : std::string(), status));
  }
}

}  // namespace

absl::Status VisitImages(const std::string& path, const ImageVisitor& visit) {
  std::error_code error;
  if (fs::is_directory(path, error)) {
    const fs::path archive_path = fs::path(path) / "images.tar";
    if (fs::is_regular_file(archive_path, error)) return VisitArchive(archive_path.string(), visit);
    return VisitFolder(path, visit);
  }
  if (!fs::exists(path, error)) {
    return absl::NotFoundError(absl::StrCat(path, ": no such file or folder"));
  }
  return VisitArchive(path, visit);
}

absl::Status CheckImage(absl::string_view bytes) { return DecodeGray(bytes).status(); }

}  // namespace fairlead::cli
