#include "worker/job_inputs.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <thread>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/file.h"
#include "common/base/log.h"
#include "common/base/mutex.h"
#include "common/base/status.h"

namespace fairlead::worker {
namespace {

constexpr size_t kFetchThreads = 4;

template <typename Manifest>
absl::StatusOr<Manifest> FetchManifest(BlobStore& blobs, const store::v1::JobRecord& job) {
  if (job.manifest_blob().empty()) return FieldError("manifest_blob", "the job names no manifest");
  absl::StatusOr<std::string> bytes = blobs.Get(job.tenant(), job.manifest_blob());
  if (!bytes.ok()) return Annotate(bytes.status(), "fetching the manifest");
  Manifest manifest;
  if (!manifest.ParseFromString(*bytes)) {
    return absl::DataLossError(absl::StrCat("blob ", job.manifest_blob(), " is no manifest"));
  }
  return manifest;
}

absl::StatusOr<FetchedImage> FetchImage(BlobStore& blobs, const std::string& tenant,
                                        const std::string& id) {
  absl::StatusOr<std::string> bytes = blobs.Get(tenant, id);
  if (!bytes.ok()) return Annotate(bytes.status(), absl::StrCat("fetching image ", id));
  FetchedImage fetched;
  absl::StatusOr<GrayImage> image = DecodeGray(*bytes);
  if (image.ok()) {
    fetched.image = *std::move(image);
    fetched.usable = true;
  } else {
    FAIRLEAD_LOG(WARNING) << "image left out blob=" << id << " status=" << image.status();
  }
  return fetched;
}

const std::string* FindParam(const store::v1::JobRecord& job, absl::string_view name) {
  const auto found = job.params().find(std::string(name));
  return found == job.params().end() ? nullptr : &found->second;
}

absl::Status BadParam(absl::string_view name, absl::string_view problem) {
  return FieldError(absl::StrCat("params.", name), problem);
}

}  // namespace

absl::StatusOr<store::v1::DatasetManifest> FetchDataset(BlobStore& blobs,
                                                        const store::v1::JobRecord& job) {
  return FetchManifest<store::v1::DatasetManifest>(blobs, job);
}

absl::StatusOr<store::v1::PrelabelManifest> FetchPrelabelItems(BlobStore& blobs,
                                                               const store::v1::JobRecord& job) {
  return FetchManifest<store::v1::PrelabelManifest>(blobs, job);
}

absl::StatusOr<std::vector<FetchedImage>> FetchImages(BlobStore& blobs, const std::string& tenant,
                                                      const std::vector<std::string>& ids,
                                                      JobContext& context) {
  std::vector<FetchedImage> images(ids.size());
  std::atomic<size_t> next{0};
  std::atomic<bool> failed{false};
  Mutex mu;
  absl::Status first_error;
  const auto fetch = [&] {
    for (size_t i = next++; i < ids.size() && !failed; i = next++) {
      absl::Status status = context.Check();
      if (status.ok()) {
        absl::StatusOr<FetchedImage> image = FetchImage(blobs, tenant, ids[i]);
        status = image.status();
        if (image.ok()) images[i] = *std::move(image);
      }
      if (status.ok()) continue;
      failed = true;
      MutexLock lock(&mu);
      first_error.Update(status);
    }
  };
  std::vector<std::thread> threads;
  for (size_t i = 1; i < std::min(kFetchThreads, ids.size()); ++i) threads.emplace_back(fetch);
  fetch();
  for (std::thread& thread : threads) thread.join();
  RETURN_IF_ERROR(first_error);
  return images;
}

absl::StatusOr<std::string> FetchChampion(BlobStore& blobs, const store::v1::JobRecord& job,
                                          const std::string& path) {
  if (job.champion_blob().empty()) return std::string();
  absl::StatusOr<std::string> bytes = blobs.Get(job.tenant(), job.champion_blob());
  if (!bytes.ok()) return Annotate(bytes.status(), "fetching the champion");
  RETURN_IF_ERROR(WriteFileDurably(path, absl::StrCat(path, ".tmp"), *bytes));
  return path;
}

absl::StatusOr<Shadow> FetchShadow(BlobStore& blobs, const store::v1::JobRecord& job,
                                   const std::string& path) {
  Shadow shadow;
  std::string blob;
  RETURN_IF_ERROR(ReadParam(job, "shadow_version", &shadow.version));
  RETURN_IF_ERROR(ReadParam(job, "shadow_blob", &blob));
  if (shadow.version.empty() || blob.empty()) return Shadow();
  absl::StatusOr<std::string> bytes = blobs.Get(job.tenant(), blob);
  if (!bytes.ok()) return Annotate(bytes.status(), "fetching the model in the shadow");
  RETURN_IF_ERROR(WriteFileDurably(path, absl::StrCat(path, ".tmp"), *bytes));
  shadow.path = path;
  return shadow;
}

absl::Status ReadParam(const store::v1::JobRecord& job, absl::string_view name, int* value) {
  const std::string* text = FindParam(job, name);
  if (text == nullptr || absl::SimpleAtoi(*text, value)) return absl::OkStatus();
  return BadParam(name, "must be a whole number");
}

absl::Status ReadParam(const store::v1::JobRecord& job, absl::string_view name, uint64_t* value) {
  const std::string* text = FindParam(job, name);
  if (text == nullptr || absl::SimpleAtoi(*text, value)) return absl::OkStatus();
  return BadParam(name, "must be a whole number, not negative");
}

absl::Status ReadParam(const store::v1::JobRecord& job, absl::string_view name, double* value) {
  const std::string* text = FindParam(job, name);
  if (text == nullptr) return absl::OkStatus();
  if (absl::SimpleAtod(*text, value) && std::isfinite(*value)) return absl::OkStatus();
  return BadParam(name, "must be a number");
}

absl::Status ReadParam(const store::v1::JobRecord& job, absl::string_view name,
                       std::string* value) {
  const std::string* text = FindParam(job, name);
  if (text != nullptr) *value = *text;
  return absl::OkStatus();
}

}  // namespace fairlead::worker
