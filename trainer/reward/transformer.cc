#include "trainer/reward/transformer.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "trainer/optim/adamw.h"
#include "trainer/reward/transformer_net.h"

namespace fairlead::trainer {
namespace {

absl::Status CopyWeights(absl::Span<const NamedValues> weights, TransformerNet& net) {
  torch::NoGradGuard no_grad;
  const auto parameters = net.named_parameters();
  const auto broken = [](const std::string& what) {
    return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT", what);
  };
  if (weights.size() != parameters.size()) {
    return broken(absl::StrCat("has ", weights.size(), " tensors of ", parameters.size()));
  }
  for (const NamedValues& one : weights) {
    const torch::Tensor* target = parameters.find(one.name);
    if (target == nullptr || target->sizes() != at::IntArrayRef(one.shape) ||
        static_cast<int64_t>(one.values.size()) != target->numel()) {
      return broken(absl::StrCat("tensor ", one.name, " does not fit"));
    }
    target->copy_(
        torch::from_blob(const_cast<float*>(one.values.data()), target->sizes(), torch::kFloat32));
  }
  return absl::OkStatus();
}

std::vector<double> Column(const torch::Tensor& scores, int64_t column) {
  const torch::Tensor values = scores.detach().select(1, column).to(torch::kCPU, torch::kFloat64);
  std::vector<double> result;
  for (int64_t i = 0; i < values.size(0); ++i) result.push_back(values[i].item<double>());
  return result;
}

}  // namespace

bool HasTrainingDevice() { return torch::cuda::is_available(); }

struct TransformerScorer::State {
  std::shared_ptr<TransformerNet> net;
};

TransformerScorer::TransformerScorer(std::unique_ptr<State> state) : state_(std::move(state)) {}
TransformerScorer::~TransformerScorer() = default;

absl::StatusOr<std::unique_ptr<TransformerScorer>> TransformerScorer::Create(
    const TransformerShape& shape, absl::Span<const NamedValues> weights) {
  return CatchTorch([&]() -> absl::StatusOr<std::unique_ptr<TransformerScorer>> {
    UseReproducibleKernels(at::get_num_threads());
    auto state = std::make_unique<State>();
    state->net = std::make_shared<TransformerNet>(shape, 0);
    RETURN_IF_ERROR(CopyWeights(weights, *state->net));
    return std::unique_ptr<TransformerScorer>(new TransformerScorer(std::move(state)));
  });
}

std::vector<double> TransformerScorer::Scores(absl::Span<const TokenRow> rows) const {
  if (rows.empty()) return {};
  torch::NoGradGuard no_grad;
  return Column(state_->net->forward(Pack(rows, torch::kCPU)), 0);
}

struct TransformerLearner::State {
  State(const TransformerShape& shape, uint64_t seed, torch::Device where)
      : device(where),
        net(std::make_shared<TransformerNet>(shape, seed)),
        parameters(*net, device),
        // Without clipping by unit: embeddings that a batch does not touch have units of their own.
        optimizer(parameters, {.beta2 = 0.98, .clip = 0}) {}

  const torch::Device device;
  std::shared_ptr<TransformerNet> net;
  FlatParameters parameters;
  AdamW optimizer;
};

TransformerLearner::TransformerLearner(std::unique_ptr<State> state) : state_(std::move(state)) {}
TransformerLearner::~TransformerLearner() = default;

absl::StatusOr<std::unique_ptr<TransformerLearner>> TransformerLearner::Create(
    const TransformerShape& shape, uint64_t seed, const std::string& device, int threads) {
  return CatchTorch([&]() -> absl::StatusOr<std::unique_ptr<TransformerLearner>> {
    ASSIGN_OR_RETURN(const torch::Device where, ChooseDevice(device));
    UseReproducibleKernels(threads);
    return std::unique_ptr<TransformerLearner>(
        new TransformerLearner(std::make_unique<State>(shape, seed, where)));
  });
}

absl::Status TransformerLearner::SetWeights(absl::Span<const NamedValues> weights) {
  return CatchTorch([&] {
    const absl::Status status = CopyWeights(weights, *state_->net);
    if (status.ok()) state_->optimizer.ResetAverage();
    return status;
  });
}

absl::Status TransformerLearner::Step(absl::Span<const TokenRow> rows, int64_t step,
                                      double learning_rate, double ema_decay,
                                      const std::function<void(HeadScores&)>& judge) {
  return CatchTorch([&] {
    const torch::Tensor scores = state_->net->forward(Pack(rows, state_->device));
    HeadScores heads;
    heads.quality = Column(scores, 0);
    heads.length = Column(scores, 1);
    heads.quality_slopes.assign(rows.size(), 0.0);
    heads.length_slopes.assign(rows.size(), 0.0);
    judge(heads);
    torch::Tensor slopes = torch::empty({static_cast<int64_t>(rows.size()), 2}, torch::kFloat32);
    auto* values = slopes.data_ptr<float>();
    for (size_t i = 0; i < rows.size(); ++i) {
      values[2 * i] = static_cast<float>(heads.quality_slopes[i]);
      values[2 * i + 1] = static_cast<float>(heads.length_slopes[i]);
    }
    scores.backward(slopes.to(state_->device));
    state_->optimizer.Step(step, learning_rate, ema_decay);
    return absl::OkStatus();
  });
}

std::vector<NamedValues> TransformerLearner::Averaged() const {
  torch::NoGradGuard no_grad;
  const torch::Tensor averaged = state_->optimizer.averaged().to(torch::kCPU);
  std::vector<NamedValues> weights;
  const auto parameters = state_->net->named_parameters();
  for (const ParameterSlice& slice : state_->parameters.slices()) {
    const float* begin = averaged.data_ptr<float>() + slice.offset;
    weights.push_back({slice.name, parameters[slice.name].sizes().vec(),
                       std::vector<float>(begin, begin + slice.size)});
  }
  return weights;
}

}  // namespace fairlead::trainer
