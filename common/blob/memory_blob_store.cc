#include "common/blob/memory_blob_store.h"

#include <map>
#include <utility>

#include "common/base/hash.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/blob/blob_id.h"

namespace fairlead {
namespace {

class MemoryBlobStore final : public BlobStore {
 public:
  absl::StatusOr<std::string> Put(absl::string_view tenant, absl::string_view bytes) override {
    RETURN_IF_ERROR(CheckBlobTenant(tenant));
    std::string id = Sha256Hex(bytes);
    MutexLock lock(&mu_);
    blobs_[{std::string(tenant), id}] = std::string(bytes);
    return id;
  }

  absl::StatusOr<std::string> Get(absl::string_view tenant, absl::string_view id) override {
    RETURN_IF_ERROR(CheckBlobName(tenant, id));
    MutexLock lock(&mu_);
    const auto found = blobs_.find({std::string(tenant), std::string(id)});
    if (found == blobs_.end()) return BlobNotFound(tenant, id);
    return found->second;
  }

  absl::StatusOr<bool> Has(absl::string_view tenant, absl::string_view id) override {
    RETURN_IF_ERROR(CheckBlobName(tenant, id));
    MutexLock lock(&mu_);
    return blobs_.count({std::string(tenant), std::string(id)}) > 0;
  }

 private:
  Mutex mu_;
  std::map<std::pair<std::string, std::string>, std::string> blobs_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<BlobStore> NewMemoryBlobStore() { return std::make_unique<MemoryBlobStore>(); }

}  // namespace fairlead
