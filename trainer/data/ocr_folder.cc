#include "trainer/data/ocr_folder.h"

#include <archive.h>
#include <archive_entry.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <sstream>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "trainer/data/labels.h"

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

absl::Status EnsureSplits(std::vector<OcrExample>& examples, uint64_t seed) {
  int64_t train = 0, validation = 0;
  for (const OcrExample& example : examples) {
    train += example.split == Split::kTrain;
    validation += example.split == Split::kValidation;
  }
  for (OcrExample& example : examples) {
    if (validation > 0) break;
    const bool taken = StableHash64(absl::StrCat(seed, "/validation/", example.id)) % 10 == 0;
    if (example.split == Split::kTrain && taken) example.split = Split::kValidation;
  }
  if (train == 0) return FieldError("train", "no usable example is for training");
  for (const OcrExample& example : examples) {
    if (example.split == Split::kValidation) return absl::OkStatus();
  }
  return FieldError("val", absl::StrCat("no example is for validation, and ", train,
                                        " for training are too few to take a tenth of"));
}

bool IsImageName(const std::string& name) {
  const std::string lower = absl::AsciiStrToLower(name);
  return absl::EndsWith(lower, ".png") || absl::EndsWith(lower, ".jpg") ||
         absl::EndsWith(lower, ".jpeg");
}

// file and text of one line of labels.tsv.
absl::StatusOr<std::pair<std::string, std::string>> ParseLabel(const std::string& line) {
  const size_t tab = line.find('\t');
  if (tab == std::string::npos || tab == 0) return FieldError("line", "must be file<TAB>text");
  std::string file = line.substr(0, tab), text = line.substr(tab + 1);
  if (text.find('\t') != std::string::npos) return FieldError("line", "has more than one tab");
  if (absl::StartsWith(file, "/") || absl::StrContains(file, "..")) {
    return FieldError("file", "must be a path inside the folder");
  }
  return std::make_pair(std::move(file), std::move(text));
}

absl::Status CheckText(const std::string& text) {
  ASSIGN_OR_RETURN(const std::vector<std::string> points, SplitCodePoints(text));
  if (static_cast<int>(points.size()) <= kLongestText) return absl::OkStatus();
  return FieldError("text", absl::StrCat(points.size(), " characters, at most ", kLongestText));
}

absl::StatusOr<GrayImage> ImageOf(const std::map<std::string, std::string>& packed,
                                  const std::string& folder, const std::string& file) {
  const auto found = packed.find(file);
  if (found != packed.end()) return DecodeGray(found->second);
  ASSIGN_OR_RETURN(const std::string bytes, ReadLoose(folder + "/" + file));
  return DecodeGray(bytes);
}

// Takes the bytes of one file: an image, one that cannot be read, or something else.
void Sort(const std::string& name, const std::string& bytes, ImageFolder& folder) {
  if (!ReadImageHeader(bytes).ok() && !IsImageName(name)) {
    ++folder.other_files;
    return;
  }
  auto image = DecodeGray(bytes);
  if (image.ok()) {
    folder.images.push_back({name, *std::move(image)});
  } else {
    folder.set_aside.push_back({name, std::string(image.status().message())});
  }
}

}  // namespace

absl::StatusOr<OcrFolder> ReadOcrFolder(const std::string& folder, uint64_t seed) {
  const std::string labels = folder + "/labels.tsv";
  std::ifstream in(labels);
  if (!in) return absl::NotFoundError(absl::StrCat(labels, ": no such file"));
  ASSIGN_OR_RETURN(const auto packed, ReadTar(folder + "/images.tar"));
  OcrFolder result;
  std::set<std::string> seen;
  std::string line;
  for (int64_t number = 1; std::getline(in, line); ++number) {
    const std::string where = absl::StrCat(labels, ":", number);
    if (absl::EndsWith(line, "\r")) line.pop_back();
    if (line.empty()) continue;
    auto label = ParseLabel(line);
    if (!label.ok()) return Annotate(label.status(), where);
    OcrExample example;
    std::tie(example.id, example.text) = *std::move(label);
    if (!seen.insert(example.id).second) {
      return Annotate(FieldError("file", absl::StrCat(example.id, " is listed twice")), where);
    }
    const absl::Status text = CheckText(example.text);
    auto image = ImageOf(packed, folder, example.id);
    if (!text.ok() || !image.ok()) {
      const absl::Status& why = text.ok() ? image.status() : text;
      result.set_aside.push_back({example.id, std::string(why.message())});
      continue;
    }
    example.image = *std::move(image);
    example.split = SplitOf(example.id, seed);
    result.examples.push_back(std::move(example));
  }
  if (seen.empty()) return absl::InvalidArgumentError(absl::StrCat(labels, ": is empty"));
  if (result.examples.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(labels, ": no item is usable; the first, ",
                                                   result.set_aside[0].id, ": ",
                                                   result.set_aside[0].reason));
  }
  const absl::Status splits = EnsureSplits(result.examples, seed);
  if (!splits.ok()) return Annotate(splits, labels);
  return result;
}

absl::StatusOr<ImageFolder> ReadImageFolder(const std::string& folder) {
  const std::string archive = folder + "/images.tar";
  ASSIGN_OR_RETURN(const auto packed, ReadTar(archive));
  std::map<std::string, std::string> loose;  // Path by name.
  std::error_code error;
  fs::recursive_directory_iterator it(folder, error), end;
  if (error) return absl::NotFoundError(absl::StrCat(folder, ": ", error.message()));
  for (; it != end; it.increment(error)) {
    if (error) return absl::UnavailableError(absl::StrCat(folder, ": ", error.message()));
    if (!it->is_regular_file(error) || it->path() == fs::path(archive)) continue;
    loose[fs::relative(it->path(), folder).string()] = it->path().string();
  }
  ImageFolder result;
  for (const auto& [name, bytes] : packed) Sort(name, bytes, result);
  for (const auto& [name, path] : loose) {
    if (fs::file_size(path, error) > static_cast<uint64_t>(kMaxEntryBytes) || error) {
      ++result.other_files;
      continue;
    }
    ASSIGN_OR_RETURN(const std::string bytes, ReadLoose(path));
    Sort(name, bytes, result);
  }
  if (result.images.empty()) {
    return absl::NotFoundError(absl::StrCat(folder, ": no readable PNG or JPEG in it (",
                                            result.other_files, " other files, ",
                                            result.set_aside.size(), " unreadable images)"));
  }
  std::sort(result.images.begin(), result.images.end(),
            [](const NamedImage& a, const NamedImage& b) { return a.name < b.name; });
  return result;
}

}  // namespace fairlead::trainer
