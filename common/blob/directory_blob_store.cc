#include "common/blob/directory_blob_store.h"

#include <sys/stat.h>

#include <cerrno>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/hash.h"
#include "common/base/ids.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/blob/blob_id.h"

namespace fairlead {
namespace {

class DirectoryBlobStore final : public BlobStore {
 public:
  explicit DirectoryBlobStore(std::string root) : root_(std::move(root)) {}

  absl::StatusOr<std::string> Put(absl::string_view tenant, absl::string_view bytes) override {
    RETURN_IF_ERROR(CheckBlobTenant(tenant));
    std::string id = Sha256Hex(bytes);
    const std::string folder = FolderOf(tenant, id);
    const std::string path = PathOf(tenant, id);
    const absl::StatusOr<std::string> present = ReadFile(path);
    if (present.ok() && *present == bytes) {
      // Another writer may have renamed it a moment ago without having synced its name yet.
      RETURN_IF_ERROR(EnsureFolders(tenant, folder));
      RETURN_IF_ERROR(SyncDirectory(folder));
      return id;
    }
    RETURN_IF_ERROR(EnsureFolders(tenant, folder));
    const std::string temporary = absl::StrCat(root_, "/.tmp/", RandomHex(12));
    RETURN_IF_ERROR(WriteFileDurably(path, temporary, bytes));
    return id;
  }

  absl::StatusOr<std::string> Get(absl::string_view tenant, absl::string_view id) override {
    RETURN_IF_ERROR(CheckBlobName(tenant, id));
    absl::StatusOr<std::string> bytes = ReadFile(PathOf(tenant, id));
    if (absl::IsNotFound(bytes.status())) return BlobNotFound(tenant, id);
    RETURN_IF_ERROR(bytes.status());
    if (Sha256Hex(*bytes) != id) {
      return Error(absl::StatusCode::kDataLoss, "BLOB_DAMAGED",
                   absl::StrCat("the ", bytes->size(), " bytes stored as blob ", id, " of tenant ",
                                tenant, " no longer match its id"));
    }
    return bytes;
  }

  absl::StatusOr<bool> Has(absl::string_view tenant, absl::string_view id) override {
    RETURN_IF_ERROR(CheckBlobName(tenant, id));
    struct stat state;
    if (::stat(PathOf(tenant, id).c_str(), &state) == 0) return true;
    if (errno == ENOENT || errno == ENOTDIR) return false;
    return ErrnoStatus(absl::StrCat("cannot look up blob ", id));
  }

 private:
  std::string FolderOf(absl::string_view tenant, absl::string_view id) const {
    return absl::StrCat(root_, "/", tenant, "/", id.substr(0, 2));
  }
  std::string PathOf(absl::string_view tenant, absl::string_view id) const {
    return absl::StrCat(FolderOf(tenant, id), "/", id.substr(2));
  }

  // A folder is known only once this store has synced its parent: that another writer made it does
  // not say that its name is already durable.
  absl::Status EnsureFolders(absl::string_view tenant, const std::string& folder) {
    const std::string tenant_folder = absl::StrCat(root_, "/", tenant);
    MutexLock lock(&mu_);
    if (known_.count(folder) > 0) return absl::OkStatus();
    RETURN_IF_ERROR(CreateDirectories(folder));
    RETURN_IF_ERROR(CreateDirectories(absl::StrCat(root_, "/.tmp")));
    RETURN_IF_ERROR(SyncDirectory(tenant_folder));
    RETURN_IF_ERROR(SyncDirectory(root_));
    known_.insert(folder);
    return absl::OkStatus();
  }

  const std::string root_;
  Mutex mu_;
  std::set<std::string> known_ ABSL_GUARDED_BY(mu_);
};

}  // namespace

std::unique_ptr<BlobStore> NewDirectoryBlobStore(std::string root) {
  return std::make_unique<DirectoryBlobStore>(std::move(root));
}

}  // namespace fairlead
