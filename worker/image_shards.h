// A dataset's images at the size of the model that goes on learning from them, decoded and resized
// once: shards of about 256 images in files on the worker's disk. A warm round reads them instead
// of fetching, decoding and resizing every image anew.
//
// Which images make a shard is up to the images themselves: one ends where an id says so
// (content-defined chunking; Muthitacharoen, Chen, Mazières 2001). So an item more or less in the
// manifest changes the one shard that it stands in, wherever that is. A file is named by what it is
// to hold (size and ids) and ends with the digest of that and of its pixels: one that is torn,
// rotten or another's is a miss. Nothing is fsynced; what is lost is made again. Tenants share
// nothing.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "common/blob/blob_store.h"
#include "trainer/train.h"
#include "worker/job_handler.h"
#include "worker/job_inputs.h"

namespace fairlead::worker {

// Not thread-safe; one process a directory.
class ImageShards {
 public:
  // Beyond `max_bytes` those go that were not read for the longest time.
  ImageShards(std::string directory, int64_t max_bytes)
      : directory_(std::move(directory)), max_bytes_(max_bytes) {}

  // The images in order of `ids` at `size`: bit for bit what FetchImages() and ResizeGray() give,
  // and the errors of the former. What no shard has is made and kept.
  absl::StatusOr<std::vector<FetchedImage>> Fetch(BlobStore& blobs, const std::string& tenant,
                                                  const std::vector<std::string>& ids,
                                                  trainer::OcrInputSize size, JobContext& context);

  // Of the last Fetch(): images that shards had.
  int64_t found() const { return found_; }

 private:
  struct Shard {
    absl::Span<const std::string> ids;
    trainer::OcrInputSize size;
    std::string path;
    std::string content;  // What it is to hold: the name's origin, and part of the digest.
  };
  Shard ShardOf(const std::string& tenant, absl::Span<const std::string> ids,
                trainer::OcrInputSize size) const;
  // Appends the shard's images; false where there is no sound file of them.
  static bool Read(const Shard& shard, std::vector<FetchedImage>& images);
  static void Write(const Shard& shard, absl::Span<const FetchedImage> images);
  void Trim() const;

  const std::string directory_;
  const int64_t max_bytes_;
  int64_t found_ = 0;
};

}  // namespace fairlead::worker
