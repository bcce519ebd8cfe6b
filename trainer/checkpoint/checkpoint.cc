#include "trainer/checkpoint/checkpoint.h"

#include <algorithm>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace fairlead::trainer {
namespace {

namespace fs = std::filesystem;

constexpr char kFormat[] = "fairlead.checkpoint.v1";
constexpr char kEnding[] = ".safetensors";
constexpr size_t kKept = 2;

// Runs may share a folder, so a file's name says whose it is.
std::string NamePrefix(const std::string& run_digest) {
  return absl::StrCat("checkpoint-", run_digest.substr(0, 16), "-");
}

// Newest first: the step has a fixed number of digits.
std::vector<std::string> CheckpointPaths(const std::string& directory,
                                         const std::string& run_digest) {
  std::vector<std::string> paths;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (absl::StartsWith(name, NamePrefix(run_digest)) && absl::EndsWith(name, kEnding)) {
      paths.push_back(it->path().string());
    }
  }
  std::sort(paths.rbegin(), paths.rend());
  return paths;
}

absl::StatusOr<StoredCheckpoint> ReadCheckpoint(const std::string& path) {
  ASSIGN_OR_RETURN(std::string bytes, ReadWholeFile(path));
  if (!absl::EndsWith(path, absl::StrCat("-", Sha256Hex(bytes), kEnding))) {
    return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT",
                 "the content is not what the name says");
  }
  ASSIGN_OR_RETURN(TensorFile file, TensorFile::Parse(std::move(bytes)));
  ASSIGN_OR_RETURN(const std::string format, file.Metadata("format"));
  if (format != kFormat) return FieldError("format", absl::StrCat("is not ", kFormat));
  Checkpoint checkpoint;
  ASSIGN_OR_RETURN(checkpoint.run_digest, file.Metadata("run_digest"));
  ASSIGN_OR_RETURN(checkpoint.curve_json, file.Metadata("curve"));
  ASSIGN_OR_RETURN(const std::string step, file.Metadata("step"));
  ASSIGN_OR_RETURN(const std::string epoch, file.Metadata("epoch"));
  ASSIGN_OR_RETURN(const std::string micro_batch, file.Metadata("micro_batch"));
  if (!absl::SimpleAtoi(step, &checkpoint.step) || !absl::SimpleAtoi(epoch, &checkpoint.epoch) ||
      !absl::SimpleAtoi(micro_batch, &checkpoint.micro_batch)) {
    return FieldError("step, epoch, micro_batch", "must be numbers");
  }
  return StoredCheckpoint{std::move(checkpoint), std::move(file)};
}

std::vector<fs::path> UnfinishedPaths(const std::string& directory) {
  std::vector<fs::path> paths;
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == ".tmp") paths.push_back(it->path());
  }
  return paths;
}

}  // namespace

absl::Status WriteCheckpoint(const std::string& directory, const Checkpoint& checkpoint,
                             absl::Span<const TensorBytes> tensors) {
  std::error_code error;
  fs::create_directories(directory, error);
  TensorMetadata metadata = checkpoint.run;
  metadata["format"] = kFormat;
  metadata["run_digest"] = checkpoint.run_digest;
  metadata["step"] = absl::StrCat(checkpoint.step);
  metadata["epoch"] = absl::StrCat(checkpoint.epoch);
  metadata["micro_batch"] = absl::StrCat(checkpoint.micro_batch);
  metadata["curve"] = checkpoint.curve_json;
  const std::string bytes = EncodeTensorFile(tensors, std::move(metadata));
  RETURN_IF_ERROR(WriteFileAtomically(
      absl::StrCat(directory, "/", NamePrefix(checkpoint.run_digest),
                   absl::StrFormat("%012d", checkpoint.step), "-", Sha256Hex(bytes), kEnding),
      bytes));
  const std::vector<std::string> paths = CheckpointPaths(directory, checkpoint.run_digest);
  for (size_t i = kKept; i < paths.size(); ++i) fs::remove(paths[i], error);
  // A killed writer's file is as large as a checkpoint and nobody else's business.
  for (const fs::path& path : UnfinishedPaths(directory)) fs::remove(path, error);
  return absl::OkStatus();
}

std::optional<StoredCheckpoint> ReadNewestCheckpoint(const std::string& directory,
                                                     const std::string& run_digest) {
  for (const std::string& path : CheckpointPaths(directory, run_digest)) {
    auto stored = ReadCheckpoint(path);
    if (!stored.ok()) {
      FAIRLEAD_LOG(WARNING) << "checkpoint refused path=" << path
                            << " reason=" << stored.status().message();
    } else if (stored->checkpoint.run_digest != run_digest) {
      FAIRLEAD_LOG(INFO) << "checkpoint of another run passed over path=" << path;
    } else {
      return *std::move(stored);
    }
  }
  return std::nullopt;
}

}  // namespace fairlead::trainer
