// What a training round's evaluation proves: the judged items of its manifest with both models'
// readings, as the paired gate takes them (hop 13). Pure; thread-safe.
#pragma once

#include "absl/status/statusor.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/learn/paired_gate.h"

namespace fairlead::learn {

// TEST items are the frozen groups, WINDOW items the prequential window. Slices: texts by length
// and by the characters in them, pairs by whether the longer response is the better one. An item
// that the worker could not read (a broken image) has no reading and is left out; INVALID_ARGUMENT
// names a reading of an item that is not judged in the manifest, or that is there twice. O(items ·
// text length).
absl::StatusOr<PairedEvidence> EvidenceOf(const store::v1::DatasetManifest& manifest,
                                          const store::v1::Evaluation& evaluation);

}  // namespace fairlead::learn
