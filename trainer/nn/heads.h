// What turns a feature map into characters. Class 0 is the blank in every head.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/compat.h"

namespace fairlead::trainer {

struct HeadConfig {
  std::string kind = "column";  // column | flat | gappos | ctc | pool.
  int positions = 1;            // Longest text.
  int classes = 2;              // Alphabet and blank.
  int in_channels = 1;          // Of the feature map.
  int in_height = 1;
  int in_width = 1;
};

// What a loss is asked for besides logits and truth.
struct LossTerms {
  double smoothing = 0;  // Share of the target spread over all classes (Szegedy et al. 2016).
  double progress = 1;   // Finished share of the run.
};

// One interface for all heads.
class ReadHead : public torch::nn::Module {
 public:
  // (B, C, H, W) → logits (B, P, classes); P = positions, for ctc the map's width.
  virtual torch::Tensor forward(const torch::Tensor& features) = 0;
  // Loss of each image, (B): mean cross-entropy over the positions, or CTC's over the length.
  // `targets` (B, positions) int64 as Alphabet::Encode lays them out, `lengths` (B) int64.
  virtual torch::Tensor Losses(const torch::Tensor& logits, const torch::Tensor& targets,
                               const torch::Tensor& lengths, const LossTerms& terms) const;
  // Whether dimension 0 of the weights is the text's positions, counted from the right.
  virtual bool CountsPositions() const { return true; }
};

// column: pool to 1×L; one classifier, shared by all positions, reads each column: every character
//   of a text teaches it, wherever it stands. For texts of one length.
// flat: every position reads the whole map; for short texts of any length.
// gappos: a learnt embedding of the place is added to the map, activated, and its global mean read
//   by every position; the place survives the mean.
// ctc: connectionist temporal classification over the map's columns (Graves et al., ICML 2006). At
//   the start of a run the columns are also told the text spread evenly over them, which ends the
//   long time in which CTC reads nothing but blanks.
// pool: every position reads the global mean; the ImageNet classifier of eca_nfnet_l0.
// INVALID_ARGUMENT for an unknown kind or a text longer than the head can hold.
absl::StatusOr<std::shared_ptr<ReadHead>> MakeHead(const HeadConfig& config);

}  // namespace fairlead::trainer
