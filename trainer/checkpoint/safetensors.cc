#include "trainer/checkpoint/safetensors.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/hash.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

using Json = nlohmann::json;

constexpr absl::string_view kChecksumKey = "crc32c";
constexpr absl::string_view kChecksumMark = "\"crc32c\":\"";
constexpr absl::string_view kNoChecksum = "00000000";

absl::Status Corrupt(absl::string_view problem) {
  return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT", problem);
}

uint64_t BytesOf(absl::string_view dtype) {
  static const std::map<std::string, uint64_t> kSizes = {
      {"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},
      {"I32", 4}, {"I16", 2}, {"I8", 1},  {"U8", 1},   {"BOOL", 1}};
  const auto found = kSizes.find(std::string(dtype));
  return found == kSizes.end() ? 0 : found->second;
}

// Parses JSON; refuses duplicate keys and anything deeper than a header can be.
absl::StatusOr<Json> ParseJson(absl::string_view text) {
  std::vector<std::set<std::string>> open;
  std::string problem;
  const auto watch = [&](int depth, Json::parse_event_t event, Json& parsed) {
    if (depth > 4) problem = "header is nested too deeply";
    if (event == Json::parse_event_t::object_start) open.emplace_back();
    if (event == Json::parse_event_t::object_end && !open.empty()) open.pop_back();
    if (event == Json::parse_event_t::key && !open.empty() &&
        !open.back().insert(parsed.get<std::string>()).second) {
      problem = "header has a duplicate key";
    }
    return problem.empty();
  };
  Json json = Json::parse(text.begin(), text.end(), watch, /*allow_exceptions=*/false);
  if (!problem.empty()) return Corrupt(problem);
  if (!json.is_object()) return Corrupt("header is not a JSON object");
  return json;
}

bool IsCount(const Json& value) { return value.is_number_unsigned(); }

absl::StatusOr<std::pair<uint64_t, uint64_t>> ParseOffsets(const Json& entry) {
  const auto found = entry.find("data_offsets");
  if (found == entry.end() || !found->is_array() || found->size() != 2 || !IsCount((*found)[0]) ||
      !IsCount((*found)[1])) {
    return Corrupt("data_offsets is not a pair of counts");
  }
  return std::make_pair((*found)[0].get<uint64_t>(), (*found)[1].get<uint64_t>());
}

// Fills dtype and shape; returns the bytes they need.
absl::StatusOr<uint64_t> ParseShape(const Json& entry, TensorBytes& tensor) {
  const auto dtype = entry.find("dtype");
  const auto shape = entry.find("shape");
  if (dtype == entry.end() || !dtype->is_string()) return Corrupt("dtype is missing");
  tensor.dtype = dtype->get<std::string>();
  uint64_t bytes = BytesOf(tensor.dtype);
  if (bytes == 0) return Corrupt("dtype is unknown");
  if (shape == entry.end() || !shape->is_array()) return Corrupt("shape is missing");
  if (shape->size() > 8) return Corrupt("shape has more than 8 dimensions");
  for (const Json& side : *shape) {
    if (!IsCount(side)) return Corrupt("shape has a side that is not a count");
    const uint64_t length = side.get<uint64_t>();
    if (length > (uint64_t{1} << 40) || __builtin_mul_overflow(bytes, length, &bytes)) {
      return Corrupt("shape is too large");
    }
    tensor.shape.push_back(static_cast<int64_t>(length));
  }
  return bytes;
}

absl::Status CheckChecksum(const std::string& bytes, uint64_t body_start,
                           const TensorMetadata& metadata) {
  const auto stated = metadata.find(std::string(kChecksumKey));
  if (stated == metadata.end() || stated->second.size() != kNoChecksum.size()) {
    return Corrupt("no checksum in the metadata");
  }
  const size_t mark = bytes.find(std::string(kChecksumMark));
  if (mark == std::string::npos || mark + kChecksumMark.size() + 8 > body_start) {
    return Corrupt("no checksum in the metadata");
  }
  std::string cleared = bytes;
  cleared.replace(mark + kChecksumMark.size(), 8, std::string(kNoChecksum));
  if (absl::StrFormat("%08x", Crc32c(cleared)) != stated->second) {
    return Corrupt("checksum differs from the content");
  }
  return absl::OkStatus();
}

absl::Status SystemError(absl::string_view what, const std::string& path) {
  return Error(errno == ENOENT ? absl::StatusCode::kNotFound : absl::StatusCode::kUnavailable,
               "FILE_UNAVAILABLE", absl::StrCat(what, " ", path, ": ", std::strerror(errno)));
}

absl::Status WriteAndSync(int fd, absl::string_view bytes, const std::string& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return SystemError("cannot write", path);
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return fsync(fd) == 0 ? absl::OkStatus() : SystemError("cannot sync", path);
}

}  // namespace

absl::StatusOr<TensorFile> TensorFile::Parse(std::string bytes) {
  if (bytes.size() < 8) return Corrupt("shorter than its header length");
  uint64_t header_bytes = 0;
  for (int i = 7; i >= 0; --i) header_bytes = header_bytes << 8 | static_cast<uint8_t>(bytes[i]);
  if (header_bytes > kMaxHeaderBytes) return Corrupt("header is longer than 16 MiB");
  if (header_bytes > bytes.size() - 8) return Corrupt("file ends inside the header");
  TensorFile file;
  file.body_start_ = 8 + header_bytes;
  file.bytes_ = std::make_shared<const std::string>(std::move(bytes));
  const absl::string_view all(*file.bytes_);
  RETURN_IF_ERROR(file.ParseHeader(all.substr(8, header_bytes), all.size() - file.body_start_));
  RETURN_IF_ERROR(CheckChecksum(*file.bytes_, file.body_start_, file.metadata_));
  file.metadata_.erase(std::string(kChecksumKey));
  return file;
}

absl::Status TensorFile::ParseHeader(absl::string_view header, uint64_t body_bytes) {
  ASSIGN_OR_RETURN(const Json json, ParseJson(header));
  const absl::string_view body = absl::string_view(*bytes_).substr(body_start_);
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  for (const auto& [name, entry] : json.items()) {
    if (!entry.is_object()) return Corrupt("a header entry is not an object");
    if (name == "__metadata__") {
      for (const auto& [key, value] : entry.items()) {
        if (!value.is_string()) return Corrupt("a metadata value is not a string");
        metadata_[key] = value.get<std::string>();
      }
      continue;
    }
    TensorBytes tensor;
    tensor.name = name;
    ASSIGN_OR_RETURN(const uint64_t needed, ParseShape(entry, tensor));
    ASSIGN_OR_RETURN(const auto range, ParseOffsets(entry));
    if (range.first > range.second || range.second > body_bytes) {
      return Corrupt("a tensor lies outside the file");
    }
    if (range.second - range.first != needed) return Corrupt("a tensor's size is not its shape's");
    tensor.bytes = body.substr(range.first, needed);
    ranges.push_back(range);
    tensors_.push_back(std::move(tensor));
  }
  std::sort(ranges.begin(), ranges.end());
  uint64_t end = 0;
  for (const auto& [from, to] : ranges) {
    if (from != end) return Corrupt("tensors overlap or leave a gap");
    end = to;
  }
  if (end != body_bytes) return Corrupt("bytes follow the last tensor");
  return absl::OkStatus();
}

absl::StatusOr<TensorFile> TensorFile::Read(const std::string& path) {
  ASSIGN_OR_RETURN(std::string bytes, ReadWholeFile(path));
  auto file = Parse(std::move(bytes));
  if (!file.ok()) return Annotate(file.status(), path);
  return file;
}

const TensorBytes* TensorFile::Find(absl::string_view name) const {
  for (const TensorBytes& tensor : tensors_) {
    if (tensor.name == name) return &tensor;
  }
  return nullptr;
}

absl::StatusOr<std::string> TensorFile::Metadata(const std::string& key) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) return Corrupt(absl::StrCat("metadata lacks ", key));
  return found->second;
}

std::string EncodeTensorFile(absl::Span<const TensorBytes> tensors, TensorMetadata metadata) {
  metadata[std::string(kChecksumKey)] = std::string(kNoChecksum);
  Json header;
  header["__metadata__"] = metadata;
  uint64_t offset = 0;
  for (const TensorBytes& tensor : tensors) {
    header[tensor.name] = {{"dtype", tensor.dtype},
                           {"shape", tensor.shape},
                           {"data_offsets", {offset, offset + tensor.bytes.size()}}};
    offset += tensor.bytes.size();
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');  // Tensors start at a multiple of 8.
  std::string bytes;
  bytes.reserve(8 + text.size() + offset);
  for (int i = 0; i < 8; ++i) bytes.push_back(static_cast<char>(text.size() >> (8 * i) & 0xFF));
  bytes += text;
  for (const TensorBytes& tensor : tensors) bytes.append(tensor.bytes.data(), tensor.bytes.size());
  const std::string checksum = absl::StrFormat("%08x", Crc32c(bytes));
  const size_t mark = bytes.find(std::string(kChecksumMark));
  bytes.replace(mark + kChecksumMark.size(), checksum.size(), checksum);
  return bytes;
}

absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes) {
  const std::string temporary = path + ".tmp";
  const int fd = open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd < 0) return SystemError("cannot create", temporary);
  const absl::Status written = WriteAndSync(fd, bytes, temporary);
  close(fd);
  if (!written.ok() || rename(temporary.c_str(), path.c_str()) != 0) {
    const absl::Status status = written.ok() ? SystemError("cannot rename", temporary) : written;
    unlink(temporary.c_str());
    return status;
  }
  const std::string folder = std::filesystem::path(path).parent_path().string();
  const int folder_fd = open(folder.empty() ? "." : folder.c_str(), O_RDONLY | O_DIRECTORY);
  if (folder_fd < 0) return SystemError("cannot open", folder);
  const bool synced = fsync(folder_fd) == 0;
  close(folder_fd);
  return synced ? absl::OkStatus() : SystemError("cannot sync", folder);
}

absl::StatusOr<std::string> ReadWholeFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return SystemError("cannot open", path);
  std::ostringstream content;
  content << in.rdbuf();
  if (in.bad()) return SystemError("cannot read", path);
  return std::move(content).str();
}

}  // namespace fairlead::trainer
