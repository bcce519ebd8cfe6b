// A worker's way to blobs: BlobStore over the scheduler's BlobService (proto/fairlead/v1), with a
// cache on the node's disk. Every call names the job on whose behalf it is made; the scheduler lets
// a worker see what that job's manifest names and nothing else.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "common/blob/blob_store.h"

namespace fairlead {

struct GrpcBlobClientOptions {
  std::string target;           // "host:port" or "unix:path" of a scheduler.
  std::string token;            // Bearer token of the worker; empty sends none.
  std::string cache_directory;  // Empty keeps no cache.
  int64_t cache_bytes = int64_t{4} << 30;
  absl::Duration call_timeout = absl::Seconds(60);
  int attempts = 6;  // Of a call that ends UNAVAILABLE, with pauses of 0.1–5 s between.
};

// Thread-safe.
class GrpcBlobClient {
 public:
  // Does not connect yet. INVALID_ARGUMENT for an empty target.
  static absl::StatusOr<std::unique_ptr<GrpcBlobClient>> Create(GrpcBlobClientOptions options);
  ~GrpcBlobClient();

  // The blobs as `job` may see them; outlived by this client. Get checks the bytes against the id
  // (DATA_LOSS). Has downloads: use it rarely.
  std::unique_ptr<BlobStore> ForJob(const std::string& job);

 private:
  class Remote;
  struct Shared;
  explicit GrpcBlobClient(std::unique_ptr<Shared> shared);
  const std::unique_ptr<Shared> shared_;
};

}  // namespace fairlead
