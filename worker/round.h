// The examples of a training round, from its manifest and blobs.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "fairlead/store/v1/records.pb.h"
#include "trainer/train.h"
#include "worker/job_handler.h"
#include "worker/job_inputs.h"

namespace fairlead::worker {

// What a round works on. The window is judged, and neither trained on nor part of the frozen test
// set, whose metrics stay comparable between rounds.
template <typename Example>
struct Round {
  std::vector<Example> examples;  // Without the window.
  std::vector<Example> judged;    // Test set and window.
  int unusable = 0;
};

// Where a round's images come from: one for each id, in order.
using ImagesOf =
    std::function<absl::StatusOr<std::vector<FetchedImage>>(const std::vector<std::string>& ids)>;

// Errors of `images`; INVALID_ARGUMENT for an item in no split. Images that cannot be decoded are
// left out and counted.
absl::StatusOr<Round<trainer::OcrExample>> OcrRound(const store::v1::DatasetManifest& manifest,
                                                    const ImagesOf& images, JobContext& context);

// INVALID_ARGUMENT for an item in no split or without a preference.
absl::StatusOr<Round<trainer::PreferenceItem>> PairRound(
    const store::v1::DatasetManifest& manifest);

// The options of OCR training that the job's parameters name.
absl::StatusOr<trainer::OcrTrainOptions> OcrOptions(const store::v1::JobRecord& job);

}  // namespace fairlead::worker
