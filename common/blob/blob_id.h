// What a blob may be called. Both stores check names here before they look anywhere.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace fairlead {

// INVALID_ARGUMENT with reason BLOB_TENANT_INVALID unless `tenant` is a slug (common/base/ids.h).
absl::Status CheckBlobTenant(absl::string_view tenant);

// The same, and INVALID_ARGUMENT with reason BLOB_ID_INVALID unless `id` is 64 of [0-9a-f].
absl::Status CheckBlobName(absl::string_view tenant, absl::string_view id);

// NOT_FOUND with reason BLOB_NOT_FOUND.
absl::Status BlobNotFound(absl::string_view tenant, absl::string_view id);

}  // namespace fairlead
