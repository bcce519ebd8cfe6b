#include "trainer/nn/heads.h"

namespace fairlead::trainer {
namespace {

// Weights are (positions, classes, inputs), so that a longer text or a larger alphabet can take
// over a block of an older model's.
class PositionHead : public ReadHead {
 public:
  PositionHead(int positions, int classes, int inputs) {
    weight_ = register_parameter("weight", torch::zeros({positions, classes, inputs}));
    bias_ = register_parameter("bias", torch::zeros({positions, classes}));
  }

 protected:
  torch::Tensor weight_, bias_;
};

class ColumnHead : public PositionHead {
 public:
  explicit ColumnHead(const HeadConfig& config)
      : PositionHead(config.positions, config.classes, config.in_channels) {}
  torch::Tensor forward(const torch::Tensor& features) override {
    const torch::Tensor columns =
        torch::adaptive_avg_pool2d(features, {1, weight_.size(0)}).squeeze(2);  // (B, C, L).
    const torch::Tensor rows = columns.permute({2, 0, 1});                      // (L, B, C).
    return torch::baddbmm(bias_.unsqueeze(1), rows, weight_.transpose(1, 2)).transpose(0, 1);
  }
};

class FlatHead : public PositionHead {
 public:
  explicit FlatHead(const HeadConfig& config)
      : PositionHead(config.positions, config.classes,
                     config.in_channels * config.in_height * config.in_width) {}
  torch::Tensor forward(const torch::Tensor& features) override {
    const torch::Tensor weight = weight_.view({-1, weight_.size(2)});
    return torch::linear(features.flatten(1), weight, bias_.view({-1}))
        .view({-1, weight_.size(0), weight_.size(1)});
  }
};

class PoolHead : public PositionHead {
 public:
  explicit PoolHead(const HeadConfig& config)
      : PositionHead(config.positions, config.classes, config.in_channels) {}
  torch::Tensor forward(const torch::Tensor& features) override {
    const torch::Tensor weight = weight_.view({-1, weight_.size(2)});
    return torch::linear(features.mean({2, 3}), weight, bias_.view({-1}))
        .view({-1, weight_.size(0), weight_.size(1)});
  }
};

class CtcHead : public ReadHead {
 public:
  explicit CtcHead(const HeadConfig& config) {
    weight_ = register_parameter(
        "weight", torch::zeros({config.classes, config.in_channels * config.in_height}));
    bias_ = register_parameter("bias", torch::zeros({config.classes}));
  }
  torch::Tensor forward(const torch::Tensor& features) override {
    return torch::linear(features.flatten(1, 2).transpose(1, 2), weight_, bias_);
  }
  torch::Tensor Losses(const torch::Tensor& logits, const torch::Tensor& targets,
                       const torch::Tensor& lengths) const override {
    // Targets are right-aligned; CTC wants them at the left.
    const int64_t positions = targets.size(1);
    const torch::Tensor shift = positions - lengths.unsqueeze(1);
    const torch::Tensor index =
        (torch::arange(positions, targets.options()).unsqueeze(0) + shift).clamp_max(positions - 1);
    const torch::Tensor log_probabilities = logits.log_softmax(2).transpose(0, 1).contiguous();
    const torch::Tensor steps = torch::full_like(lengths, logits.size(1));
    const torch::Tensor losses =
        torch::ctc_loss(log_probabilities, targets.gather(1, index), steps, lengths, /*blank=*/0,
                        torch::Reduction::None, /*zero_infinity=*/true);
    return losses / lengths.clamp_min(1).to(losses.scalar_type());
  }
  bool CountsPositions() const override { return false; }

 private:
  torch::Tensor weight_, bias_;
};

}  // namespace

torch::Tensor ReadHead::Losses(const torch::Tensor& logits, const torch::Tensor& targets,
                               const torch::Tensor& /*lengths*/) const {
  const torch::Tensor log_probabilities = logits.log_softmax(2);
  return -log_probabilities.gather(2, targets.unsqueeze(2)).squeeze(2).mean(1);
}

absl::StatusOr<std::shared_ptr<ReadHead>> MakeHead(const HeadConfig& config) {
  std::shared_ptr<ReadHead> head;
  if (config.kind == "column") {
    head = std::make_shared<ColumnHead>(config);
  } else if (config.kind == "flat") {
    head = std::make_shared<FlatHead>(config);
  } else if (config.kind == "pool") {
    head = std::make_shared<PoolHead>(config);
  } else if (config.kind == "ctc") {
    if (config.in_width < config.positions) {
      return FieldError(
          "head", absl::StrCat("ctc has ", config.in_width, " columns for texts of ",
                               config.positions, " characters; use a wider image or variant tiny"));
    }
    head = std::make_shared<CtcHead>(config);
  } else {
    return FieldError(
        "head", absl::StrCat("'", config.kind, "' is unknown; use column, flat, ctc or auto"));
  }
  return head;
}

}  // namespace fairlead::trainer
