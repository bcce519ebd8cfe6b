#include "trainer/nn/heads.h"

namespace fairlead::trainer {
namespace {

// The share of a CTC run in which the evenly spread text helps, less and less.
constexpr double kSpreadShare = 0.25;

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

class ColumnHead : public ReadHead {
 public:
  explicit ColumnHead(const HeadConfig& config) : positions_(config.positions) {
    weight_ = register_parameter("weight", torch::zeros({config.classes, config.in_channels}));
    bias_ = register_parameter("bias", torch::zeros({config.classes}));
  }
  torch::Tensor forward(const torch::Tensor& features) override {
    const torch::Tensor columns =
        torch::adaptive_avg_pool2d(features, {1, positions_}).squeeze(2);  // (B, C, L).
    return torch::linear(columns.transpose(1, 2), weight_, bias_);
  }
  bool CountsPositions() const override { return false; }

 private:
  const int64_t positions_;
  torch::Tensor weight_, bias_;
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

class GapPositionHead : public PositionHead {
 public:
  explicit GapPositionHead(const HeadConfig& config)
      : PositionHead(config.positions, config.classes, config.in_channels) {
    place_ = register_parameter(
        "place", torch::zeros({config.in_channels, config.in_height, config.in_width}));
  }
  torch::Tensor forward(const torch::Tensor& features) override {
    const torch::Tensor placed = torch::silu(features + place_);
    const torch::Tensor weight = weight_.view({-1, weight_.size(2)});
    return torch::linear(placed.mean({2, 3}), weight, bias_.view({-1}))
        .view({-1, weight_.size(0), weight_.size(1)});
  }

 private:
  torch::Tensor place_;
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
                       const torch::Tensor& lengths, const LossTerms& terms) const override {
    // Targets are right-aligned; CTC wants them at the left.
    const int64_t positions = targets.size(1);
    const torch::Tensor shift = positions - lengths.unsqueeze(1);
    const torch::Tensor index =
        (torch::arange(positions, targets.options()).unsqueeze(0) + shift).clamp_max(positions - 1);
    const torch::Tensor texts = targets.gather(1, index);
    const torch::Tensor log_probabilities = logits.log_softmax(2);
    const torch::Tensor steps = torch::full_like(lengths, logits.size(1));
    torch::Tensor losses = torch::ctc_loss(log_probabilities.transpose(0, 1).contiguous(), texts,
                                           steps, lengths, /*blank=*/0, torch::Reduction::None,
                                           /*zero_infinity=*/true);
    losses = losses / lengths.clamp_min(1).to(losses.scalar_type());
    const double share = 1 - terms.progress / kSpreadShare;
    return share <= 0 ? losses : losses + share * SpreadLosses(log_probabilities, texts, lengths);
  }
  bool CountsPositions() const override { return false; }

 private:
  // Mean cross-entropy of the columns with each character on its equal share of them.
  static torch::Tensor SpreadLosses(const torch::Tensor& log_probabilities,
                                    const torch::Tensor& texts, const torch::Tensor& lengths) {
    const int64_t columns = log_probabilities.size(1);
    const torch::Tensor places = (torch::arange(columns, lengths.options()) * 2 + 1).unsqueeze(0);
    const torch::Tensor characters =
        torch::div(places * lengths.unsqueeze(1), 2 * columns, "floor");
    const torch::Tensor classes = texts.gather(1, characters.clamp_max(texts.size(1) - 1));
    return -log_probabilities.gather(2, classes.unsqueeze(2)).squeeze(2).mean(1);
  }

  torch::Tensor weight_, bias_;
};

}  // namespace

torch::Tensor ReadHead::Losses(const torch::Tensor& logits, const torch::Tensor& targets,
                               const torch::Tensor& /*lengths*/, const LossTerms& terms) const {
  const torch::Tensor log_probabilities = logits.log_softmax(2);
  const torch::Tensor losses =
      -log_probabilities.gather(2, targets.unsqueeze(2)).squeeze(2).mean(1);
  if (terms.smoothing == 0) return losses;
  return losses * (1 - terms.smoothing) - log_probabilities.mean({1, 2}) * terms.smoothing;
}

absl::StatusOr<std::shared_ptr<ReadHead>> MakeHead(const HeadConfig& config) {
  std::shared_ptr<ReadHead> head;
  if (config.kind == "column") {
    head = std::make_shared<ColumnHead>(config);
  } else if (config.kind == "flat") {
    head = std::make_shared<FlatHead>(config);
  } else if (config.kind == "gappos") {
    head = std::make_shared<GapPositionHead>(config);
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
    return FieldError("head", absl::StrCat("'", config.kind,
                                           "' is unknown; use column, flat, gappos, ctc or auto"));
  }
  return head;
}

}  // namespace fairlead::trainer
