// What a job works on: its manifest, its images, its parameters.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/blob/blob_store.h"
#include "common/image/image.h"
#include "fairlead/store/v1/records.pb.h"
#include "worker/job_handler.h"

namespace fairlead::worker {

// INVALID_ARGUMENT when the job names no manifest, DATA_LOSS when it is none.
absl::StatusOr<store::v1::DatasetManifest> FetchDataset(BlobStore& blobs,
                                                        const store::v1::JobRecord& job);
absl::StatusOr<store::v1::PrelabelManifest> FetchPrelabelItems(BlobStore& blobs,
                                                               const store::v1::JobRecord& job);

// An image of a manifest; `usable` is false for one that no attempt will ever decode.
struct FetchedImage {
  GrayImage image;
  bool usable = false;
};

// The images in order of `ids`, a few at a time in parallel. A blob that cannot be fetched is an
// error; one that is no image is logged and left unusable. CANCELLED or ABORTED by the context.
absl::StatusOr<std::vector<FetchedImage>> FetchImages(BlobStore& blobs, const std::string& tenant,
                                                      const std::vector<std::string>& ids,
                                                      JobContext& context);

// Writes the champion's model to `path`; "" when the job has none.
absl::StatusOr<std::string> FetchChampion(BlobStore& blobs, const store::v1::JobRecord& job,
                                          const std::string& path);

// The model that reads beside the champion, for comparison only.
struct Shadow {
  std::string version;  // Full name; empty: none.
  std::string path;     // Its file.
};

// Writes the shadow's model to `path` where the job names one.
absl::StatusOr<Shadow> FetchShadow(BlobStore& blobs, const store::v1::JobRecord& job,
                                   const std::string& path);

// Overwrite `value` with the job's parameter when it has it. INVALID_ARGUMENT naming params.<name>.
absl::Status ReadParam(const store::v1::JobRecord& job, absl::string_view name, int* value);
absl::Status ReadParam(const store::v1::JobRecord& job, absl::string_view name, uint64_t* value);
absl::Status ReadParam(const store::v1::JobRecord& job, absl::string_view name, double* value);
absl::Status ReadParam(const store::v1::JobRecord& job, absl::string_view name, std::string* value);

}  // namespace fairlead::worker
