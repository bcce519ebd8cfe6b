// Our reader and writer of safetensors files: u64 little-endian header length, JSON header, raw
// bytes (github.com/huggingface/safetensors, "Format"). Torch-free; what it reads may come from
// anyone.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace fairlead::trainer {

inline constexpr uint64_t kMaxHeaderBytes = 16 << 20;

// One tensor; `bytes` is borrowed.
struct TensorBytes {
  std::string name;
  std::string dtype = "F32";  // F64 F32 F16 BF16 I64 I32 I16 I8 U8 BOOL.
  std::vector<int64_t> shape;
  absl::string_view bytes;
};

using TensorMetadata = std::map<std::string, std::string>;

// A whole file in memory. Immutable, so thread-safe.
class TensorFile {
 public:
  // Checks everything before anything is used: header length and cap, JSON without duplicate keys,
  // dtypes, shapes against sizes, offsets without overlap or gap, and the checksum over header and
  // tensors that our writer adds. DATA_LOSS with reason MODEL_FILE_CORRUPT and what is wrong.
  static absl::StatusOr<TensorFile> Parse(std::string bytes);
  // NOT_FOUND when there is no such file; otherwise as Parse.
  static absl::StatusOr<TensorFile> Read(const std::string& path);

  const TensorMetadata& metadata() const { return metadata_; }
  const std::vector<TensorBytes>& tensors() const { return tensors_; }
  const TensorBytes* Find(absl::string_view name) const;  // nullptr when absent.
  // DATA_LOSS when the key is absent.
  absl::StatusOr<std::string> Metadata(const std::string& key) const;

 private:
  absl::Status ParseHeader(absl::string_view header, uint64_t body_bytes);

  std::shared_ptr<const std::string> bytes_;  // Owned here and by copies of this object.
  uint64_t body_start_ = 0;
  TensorMetadata metadata_;
  std::vector<TensorBytes> tensors_;
};

// The file's bytes, with a checksum in the metadata. Tensors keep their order. Equal input gives
// equal bytes.
std::string EncodeTensorFile(absl::Span<const TensorBytes> tensors, TensorMetadata metadata);

// Temporary file, fsync, rename, fsync of the folder: afterwards the old or the new content is
// there, never a part. UNAVAILABLE with the system's message.
absl::Status WriteFileAtomically(const std::string& path, absl::string_view bytes);

// NOT_FOUND or UNAVAILABLE.
absl::StatusOr<std::string> ReadWholeFile(const std::string& path);

}  // namespace fairlead::trainer
