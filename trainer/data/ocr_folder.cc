#include "trainer/data/ocr_folder.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/hash.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kMaxEntryBytes = 16 << 20;

struct ArchiveCloser {
  void operator()(archive* reader) const { archive_read_free(reader); }
};

// Regular files of a tar by path; empty when there is no tar.
absl::StatusOr<std::map<std::string, std::string>> ReadTar(const std::string& path) {
  std::map<std::string, std::string> files;
  if (!fs::exists(path)) return files;
  const std::unique_ptr<archive, ArchiveCloser> reader(archive_read_new());
  archive_read_support_format_tar(reader.get());
  const auto failed = [&] {
    return Error(absl::StatusCode::kInvalidArgument, "ARCHIVE_CORRUPT",
                 absl::StrCat(path, ": ", archive_error_string(reader.get())));
  };
  if (archive_read_open_filename(reader.get(), path.c_str(), 1 << 16) != ARCHIVE_OK) {
    return failed();
  }
  archive_entry* entry = nullptr;
  for (;;) {
    const int code = archive_read_next_header(reader.get(), &entry);
    if (code == ARCHIVE_EOF) return files;
    if (code != ARCHIVE_OK) return failed();
    if (archive_entry_filetype(entry) != AE_IFREG) continue;
    const char* name = archive_entry_pathname(entry);
    const int64_t size = archive_entry_size(entry);
    if (name == nullptr || size < 0 || size > kMaxEntryBytes) {
      return FieldError(path, "an entry has no name or is larger than 16 MiB");
    }
    std::string bytes(static_cast<size_t>(size), '\0');
    if (archive_read_data(reader.get(), bytes.data(), bytes.size()) != size) return failed();
    files[std::string(absl::StripPrefix(name, "./"))] = std::move(bytes);
  }
}

absl::StatusOr<std::string> ReadLoose(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return absl::NotFoundError("no such image");
  std::ostringstream bytes;
  bytes << in.rdbuf();
  return std::move(bytes).str();
}

Split SplitOf(const std::string& file, uint64_t seed) {
  const std::string first = file.substr(0, file.find('/'));
  if (first == "train") return Split::kTrain;
  if (first == "val") return Split::kValidation;
  if (first == "test") return Split::kTest;
  const uint64_t tenth = StableHash64(absl::StrCat(seed, "/", file)) % 10;
  return tenth == 0 ? Split::kValidation : tenth == 1 ? Split::kTest : Split::kTrain;
}

void EnsureValidation(std::vector<OcrExample>& examples, uint64_t seed) {
  for (const OcrExample& example : examples) {
    if (example.split == Split::kValidation) return;
  }
  for (OcrExample& example : examples) {
    const bool taken = StableHash64(absl::StrCat(seed, "/validation/", example.id)) % 10 == 0;
    if (example.split == Split::kTrain && taken) example.split = Split::kValidation;
  }
}

bool IsImageName(const std::string& name) {
  const std::string lower = absl::AsciiStrToLower(name);
  return absl::EndsWith(lower, ".png") || absl::EndsWith(lower, ".jpg") ||
         absl::EndsWith(lower, ".jpeg");
}

}  // namespace

absl::StatusOr<std::vector<OcrExample>> ReadOcrFolder(const std::string& folder, uint64_t seed) {
  const std::string labels = folder + "/labels.tsv";
  std::ifstream in(labels);
  if (!in) return absl::NotFoundError(absl::StrCat(labels, ": no such file"));
  ASSIGN_OR_RETURN(const auto packed, ReadTar(folder + "/images.tar"));
  std::vector<OcrExample> examples;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    const std::string where = absl::StrCat(labels, ":", number);
    if (absl::EndsWith(line, "\r")) line.pop_back();
    if (line.empty()) continue;
    const size_t tab = line.find('\t');
    if (tab == std::string::npos || tab == 0) {
      return Annotate(FieldError("line", "must be file<TAB>text"), where);
    }
    OcrExample example;
    example.id = line.substr(0, tab);
    example.text = line.substr(tab + 1);
    if (example.text.find('\t') != std::string::npos) {
      return Annotate(FieldError("line", "has more than one tab"), where);
    }
    if (absl::StartsWith(example.id, "/") || absl::StrContains(example.id, "..")) {
      return Annotate(FieldError("file", "must be a path inside the folder"), where);
    }
    const auto found = packed.find(example.id);
    absl::StatusOr<std::string> bytes = std::string();
    if (found == packed.end()) bytes = ReadLoose(folder + "/" + example.id);
    if (!bytes.ok()) return Annotate(bytes.status(), absl::StrCat(where, ": ", example.id));
    auto image = DecodeGray(found == packed.end() ? *bytes : found->second);
    if (!image.ok()) return Annotate(image.status(), absl::StrCat(where, ": ", example.id));
    example.image = *std::move(image);
    example.split = SplitOf(example.id, seed);
    examples.push_back(std::move(example));
  }
  if (examples.empty()) return absl::InvalidArgumentError(absl::StrCat(labels, ": is empty"));
  EnsureValidation(examples, seed);
  return examples;
}

absl::StatusOr<std::vector<NamedImage>> ReadImageFolder(const std::string& folder) {
  ASSIGN_OR_RETURN(auto files, ReadTar(folder + "/images.tar"));
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error), end;
  if (error) return absl::NotFoundError(absl::StrCat(folder, ": ", error.message()));
  for (; it != end; it.increment(error)) {
    if (error || !it->is_regular_file() || !IsImageName(it->path().string())) continue;
    ASSIGN_OR_RETURN(files[fs::relative(it->path(), folder).string()],
                     ReadLoose(it->path().string()));
  }
  std::vector<NamedImage> images;
  for (const auto& [name, bytes] : files) {
    if (!IsImageName(name)) continue;
    auto image = DecodeGray(bytes);
    if (!image.ok()) return Annotate(image.status(), absl::StrCat(folder, "/", name));
    images.push_back({name, *std::move(image)});
  }
  if (images.empty()) return absl::NotFoundError(absl::StrCat(folder, ": no PNG or JPEG in it"));
  return images;
}

}  // namespace fairlead::trainer
