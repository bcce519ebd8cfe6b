// The steps of a model's life as pure changes of its record: registered, promoted, rolled back. The
// shells commit them by compare-and-set of the record's revision.
#pragma once

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/learn/paired_gate.h"

namespace fairlead::learn {

// nullptr when the model has no such version (full name).
const store::v1::ModelVersionRecord* FindVersion(const store::v1::ModelRecord& model,
                                                 absl::string_view version);

// What a round proved about its version against the champion whose model is `champion_blob`.
struct RoundEvidence {
  PairedEvidence paired;
  std::string champion_blob;
};

// Adds the version that a finished training job made and lets the gate decide: champion, with the
// old one as `previous`, or REFUSED. Its file must have passed the load test; a first version has
// to pass its floor; where there is a champion, a version without evidence, or judged beside
// another model than that champion, is refused. The pending job is cleared when it is this one.
// Returns whether it was promoted.
bool Register(const store::v1::JobFinished& finished, const std::optional<RoundEvidence>& evidence,
              int64_t now_ms, store::v1::ModelRecord& model);

// NOT_FOUND / VERSION_NOT_FOUND.
absl::Status NoVersion(absl::string_view version);

// NOT_FOUND; FAILED_PRECONDITION / STATE_CHAMPION when it is the champion already.
absl::Status Promote(absl::string_view version, absl::string_view why,
                     store::v1::ModelRecord& model);

// What a version is trained from again: its manifest, less what was deleted since.
struct RebuildSource {
  std::string manifest_blob;
  int64_t deleted_items = 0;
};

// The job that trains the version again from `data` and its parent; noted in the version's record.
// The one that runs already when there is one. NOT_FOUND; FAILED_PRECONDITION / STATE_PARENT_GONE
// when the parent's model is not known any more.
absl::StatusOr<store::v1::JobRecord> BeginRebuild(absl::string_view version,
                                                  const RebuildSource& data, int64_t now_ms,
                                                  store::v1::ModelRecord& model);

// Notes what came of a rebuild. Returns whether the job was one of `model`.
bool EndRebuild(const store::v1::JobFinished& finished, int64_t now_ms,
                store::v1::ModelRecord& model);

// FAILED_PRECONDITION / STATE_NO_PREVIOUS.
absl::Status Rollback(store::v1::ModelRecord& model);

}  // namespace fairlead::learn
