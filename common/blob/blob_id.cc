#include "common/blob/blob_id.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status.h"

namespace fairlead {

absl::Status CheckBlobTenant(absl::string_view tenant) {
  if (IsSlug(tenant)) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, "BLOB_TENANT_INVALID",
               "the tenant of a blob is not a slug");
}

absl::Status CheckBlobName(absl::string_view tenant, absl::string_view id) {
  RETURN_IF_ERROR(CheckBlobTenant(tenant));
  const bool hex = std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
  });
  if (hex && id.size() == 64) return absl::OkStatus();
  return Error(absl::StatusCode::kInvalidArgument, "BLOB_ID_INVALID",
               absl::StrCat("a blob id is 64 lower-case hex digits; got ", id.size(), " bytes"));
}

absl::Status BlobNotFound(absl::string_view tenant, absl::string_view id) {
  return Error(absl::StatusCode::kNotFound, "BLOB_NOT_FOUND",
               absl::StrCat("tenant ", tenant, " has no blob ", id));
}

}  // namespace fairlead
