// A reader as a whole: configuration, alphabet, backbone and head, and its model file.
#pragma once

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "trainer/checkpoint/safetensors.h"
#include "trainer/data/labels.h"
#include "trainer/nn/eca_nfnet.h"
#include "trainer/nn/heads.h"

namespace fairlead::trainer {

// Everything a model file needs besides its weights; stored as JSON under "config".
struct OcrConfig {
  std::string variant = "tiny";
  std::string head = "column";
  int positions = 1;  // Longest text.
  int height = 32;
  int width = 128;
  Alphabet alphabet;
  double temperature = 1.0;
  std::string calibration = "none";  // What the temperature was fitted to: text | character | none.

  std::string ToJson() const;
  // DATA_LOSS for what ToJson cannot have written: unknown words, sizes beyond the limits.
  static absl::StatusOr<OcrConfig> FromJson(const std::string& text);
};

class OcrNetImpl : public torch::nn::Module {
 public:
  OcrNetImpl(const NfnetConfig& backbone, std::shared_ptr<ReadHead> head);
  // Normalised images (B, 1, H, W) → logits (B, P, classes).
  torch::Tensor forward(const torch::Tensor& images) { return Read(Features(images)); }
  // Its two halves: the map (B, C, H, W), and the logits that the head reads from a map.
  torch::Tensor Features(const torch::Tensor& images);
  torch::Tensor Read(const torch::Tensor& features);
  const ReadHead& head() const { return *head_; }
  void Fold() { backbone_->Fold(); }  // For inference; the parameters must not change afterwards.

 private:
  Nfnet backbone_{nullptr};
  std::shared_ptr<ReadHead> head_;
};
TORCH_MODULE(OcrNet);

// The longest text that the net's head can hold, in characters: for ctc the columns of its map.
// INVALID_ARGUMENT for an unknown variant.
absl::StatusOr<int> LongestTextOf(const OcrConfig& config);

// With zero weights. INVALID_ARGUMENT when variant and head do not fit the text or the image.
absl::StatusOr<OcrNet> MakeOcrNet(const OcrConfig& config);

// Model file: tensors by parameter name (float32) and `metadata`, to which format and config are
// added.
std::string EncodeModel(OcrNetImpl& net, const OcrConfig& config, TensorMetadata metadata);

struct LoadedOcrNet {
  OcrConfig config;
  OcrNet net{nullptr};
};
// DATA_LOSS for a damaged file, INVALID_ARGUMENT for a sound one that is no reader.
absl::StatusOr<LoadedOcrNet> LoadModel(const std::string& path);

struct WarmStart {
  int taken = 0;  // Parameters whose values came from the file.
  int left = 0;   // Parameters that keep their initial values.
};
// Takes over what fits: equal name and shape, or a head of fewer positions or classes.
WarmStart CopyMatchingParameters(OcrNetImpl& from, OcrNetImpl& to);

}  // namespace fairlead::trainer
