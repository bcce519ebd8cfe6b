#include "worker/image_shards.h"

#include <fcntl.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <iterator>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "common/image/resize.h"

namespace fairlead::worker {
namespace {

namespace fs = std::filesystem;

constexpr absl::string_view kFormat = "fairlead-shard/1";
constexpr absl::string_view kEnding = "00";  // Of an id after which a shard ends: one in 256.
constexpr size_t kMostImages = 1'024;
constexpr size_t kDigestDigits = 64;

// How many of the first ids make a shard.
size_t CutOf(absl::Span<const std::string> ids) {
  size_t count = 0;
  while (count < ids.size() && count < kMostImages) {
    if (absl::EndsWith(ids[count++], kEnding)) break;
  }
  return count;
}

std::string DigestOf(absl::string_view content, absl::string_view bytes) {
  Sha256 digest;
  digest.Update(content);
  digest.Update(bytes);
  return digest.FinishHex();
}

}  // namespace

ImageShards::Shard ImageShards::ShardOf(const std::string& tenant,
                                        absl::Span<const std::string> ids,
                                        trainer::OcrInputSize size) const {
  Shard shard{ids, size, "", ""};
  shard.content =
      absl::StrCat(kFormat, " ", size.height, "x", size.width, "\n", absl::StrJoin(ids, "\n"));
  shard.path = absl::StrCat(directory_, "/", tenant, ".", Sha256Hex(shard.content));
  return shard;
}

// A byte an image says whether it is usable, then come the pixels of all, then the digest.
bool ImageShards::Read(const Shard& shard, std::vector<FetchedImage>& images) {
  absl::StatusOr<std::string> file = ReadFile(shard.path);
  if (!file.ok()) return false;
  const size_t count = shard.ids.size();
  const size_t pixels = static_cast<size_t>(shard.size.height) * shard.size.width;
  const absl::string_view bytes = *file;
  const size_t body = count + count * pixels;
  if (bytes.size() != body + kDigestDigits ||
      bytes.substr(body) != DigestOf(shard.content, bytes.substr(0, body))) {
    FAIRLEAD_LOG(WARNING) << "shard is damaged and made anew path=" << shard.path;
    return false;
  }
  for (size_t i = 0; i < count; ++i) {
    FetchedImage& image = images.emplace_back();
    image.usable = bytes[i] != 0;
    if (!image.usable) continue;
    const auto* first = reinterpret_cast<const uint8_t*>(bytes.data()) + count + i * pixels;
    image.image = {shard.size.width, shard.size.height, {first, first + pixels}};
  }
  std::error_code ignored;
  fs::last_write_time(shard.path, fs::file_time_type::clock::now(), ignored);
  return true;
}

void ImageShards::Write(const Shard& shard, absl::Span<const FetchedImage> images) {
  const size_t count = images.size();
  const size_t pixels = static_cast<size_t>(shard.size.height) * shard.size.width;
  std::string bytes(count + count * pixels, '\0');
  for (size_t i = 0; i < count; ++i) {
    if (!images[i].usable) continue;
    bytes[i] = 1;
    std::memcpy(bytes.data() + count + i * pixels, images[i].image.pixels.data(), pixels);
  }
  bytes += DigestOf(shard.content, bytes);
  const std::string temporary = absl::StrCat(shard.path, ".tmp");
  const absl::Status status = [&]() -> absl::Status {
    ASSIGN_OR_RETURN(const FileDescriptor file, OpenFile(temporary, O_WRONLY | O_CREAT | O_TRUNC));
    return WriteAll(file.get(), bytes);
  }();
  std::error_code error;
  if (status.ok()) fs::rename(temporary, shard.path, error);
  if (status.ok() && !error) return;
  FAIRLEAD_LOG(WARNING) << "shard not kept path=" << shard.path
                        << " why=" << (status.ok() ? error.message() : status.ToString());
  fs::remove(temporary, error);
}

void ImageShards::Trim() const {
  struct File {
    fs::file_time_type used;
    fs::path path;
    int64_t bytes;
  };
  std::vector<File> files;
  int64_t total = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    std::error_code unread;
    const auto bytes = static_cast<int64_t>(entry.file_size(unread));
    const fs::file_time_type used = entry.last_write_time(unread);
    if (unread) continue;
    files.push_back({used, entry.path(), bytes});
    total += bytes;
  }
  std::sort(files.begin(), files.end(), [](const File& a, const File& b) {
    return std::tie(a.used, a.path) < std::tie(b.used, b.path);
  });
  for (const File& file : files) {
    if (total <= max_bytes_) break;
    if (fs::remove(file.path, error)) total -= file.bytes;
  }
}

absl::StatusOr<std::vector<FetchedImage>> ImageShards::Fetch(BlobStore& blobs,
                                                             const std::string& tenant,
                                                             const std::vector<std::string>& ids,
                                                             trainer::OcrInputSize size,
                                                             JobContext& context) {
  RETURN_IF_ERROR(CreateDirectories(directory_));
  found_ = 0;
  std::vector<FetchedImage> images;
  images.reserve(ids.size());
  for (absl::Span<const std::string> left = ids; !left.empty();) {
    const size_t count = CutOf(left);
    const Shard shard = ShardOf(tenant, left.first(count), size);
    left.remove_prefix(count);
    RETURN_IF_ERROR(context.Check());
    if (Read(shard, images)) {
      found_ += static_cast<int64_t>(count);
      continue;
    }
    const std::vector<std::string> wanted(shard.ids.begin(), shard.ids.end());
    ASSIGN_OR_RETURN(std::vector<FetchedImage> made, FetchImages(blobs, tenant, wanted, context));
    for (FetchedImage& one : made) {
      if (one.usable) one.image = ResizeGray(one.image, size.height, size.width);
    }
    Write(shard, made);
    std::move(made.begin(), made.end(), std::back_inserter(images));
  }
  Trim();
  return images;
}

}  // namespace fairlead::worker
