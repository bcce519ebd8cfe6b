// PORT: content-addressed blobs within a tenant. A blob's id is the SHA-256 of its bytes (hex), so
// a blob never changes and writing one twice is harmless. A tenant cannot name another tenant's
// blob.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead {

class BlobStore {
 public:
  virtual ~BlobStore() = default;

  // Stores `bytes` and returns their id once they are durable. Idempotent; thread-safe.
  // RESOURCE_EXHAUSTED when there is no room, UNAVAILABLE when the store cannot be reached.
  virtual absl::StatusOr<std::string> Put(absl::string_view tenant, absl::string_view bytes) = 0;

  // NOT_FOUND when the tenant has no such blob; DATA_LOSS when the bytes no longer match the id.
  // INVALID_ARGUMENT when tenant is not a slug or id is not 64 hex digits. Thread-safe.
  virtual absl::StatusOr<std::string> Get(absl::string_view tenant, absl::string_view id) = 0;

  // Whether the tenant has the blob; the bytes are not checked.
  virtual absl::StatusOr<bool> Has(absl::string_view tenant, absl::string_view id) = 0;
};

}  // namespace fairlead
