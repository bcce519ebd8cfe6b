// The transformer's parts: attention against libtorch's own operations, slopes against finite
// differences, and that nothing of a step depends on chance.
#include "trainer/reward/transformer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "common/base/philox.h"
#include "trainer/nn/attention.h"
#include "trainer/nn/softmax_rows.h"
#include "trainer/reward/transformer_net.h"

namespace fairlead::trainer {
namespace {

std::vector<TokenRow> RandomRows(int count, uint32_t longest, uint32_t vocabulary, uint64_t seed) {
  PhiloxStream stream(seed, 0, 0, 0);
  std::vector<TokenRow> rows;
  for (int i = 0; i < count; ++i) {
    TokenRow& row = rows.emplace_back();
    const uint32_t length = 1 + stream.Below(longest);
    for (uint32_t t = 0; t < length; ++t) {
      row.ids.push_back(static_cast<int32_t>(stream.Below(vocabulary)));
    }
    row.response_begin = stream.Below(length);
  }
  return rows;
}

TEST(SoftmaxRowsTest, EqualsTheDefinition) {
  for (const int64_t length : {1, 3, 8, 19, 64}) {
    std::vector<float> values;
    PhiloxStream stream(1, static_cast<uint32_t>(length), 0, 0);
    for (int64_t i = 0; i < 2 * length; ++i) {
      values.push_back(static_cast<float>(stream.Uniform(-60, 60)));
    }
    std::vector<float> softmax = values;
    SoftmaxRows(2, length, softmax.data());
    for (int64_t row = 0; row < 2; ++row) {
      double sum = 0;
      for (int64_t i = 0; i < length; ++i) sum += std::exp(double{values[row * length + i]});
      for (int64_t i = 0; i < length; ++i) {
        const double wanted = std::exp(double{values[row * length + i]}) / sum;
        EXPECT_NEAR(softmax[row * length + i], wanted, 4e-6 * wanted + 1e-30);
      }
    }
  }
}

TEST(AttentionTest, PackedEqualsPaddedForwardAndBackward) {
  Sequences sequences;
  for (const int64_t length : {5, 1, 17, 32, 2}) {
    sequences.offsets.push_back(sequences.offsets.back() + length);
  }
  torch::manual_seed(1);
  const torch::Tensor base = torch::randn({sequences.tokens(), 3 * 24});
  const torch::Tensor slopes = torch::randn({sequences.tokens(), 24});
  torch::Tensor packed = base.clone().set_requires_grad(true);
  torch::Tensor padded = base.clone().set_requires_grad(true);
  const torch::Tensor out = Attention(packed, sequences, 4);
  const torch::Tensor wanted = PaddedAttention(padded, sequences, 4);
  EXPECT_LT((out - wanted).abs().max().item<double>(), 1e-5);
  out.backward(slopes);
  wanted.backward(slopes);
  EXPECT_LT((packed.grad() - padded.grad()).abs().max().item<double>(), 1e-5);
  EXPECT_GT(padded.grad().abs().max().item<double>(), 0.1);
}

// d score / d weight in float32 against float64, and that along a random direction of each tensor
// against central differences.
TEST(TransformerNetTest, SlopesAreThoseOfFiniteDifferences) {
  const TransformerShape shape = {
      .vocabulary = 20, .width = 16, .layers = 2, .heads = 2, .positions = 12};
  TransformerNet single(shape, 4), net(shape, 4);
  torch::manual_seed(2);
  const torch::Tensor head = torch::randn({2, 16});
  {
    torch::NoGradGuard no_grad;
    for (TransformerNet* each : {&single, &net}) {
      each->named_parameters()["head_weight"].copy_(head);
    }
  }
  net.to(torch::kFloat64);
  PackedRows rows = Pack(RandomRows(4, 12, 20, 7), torch::kCPU);
  const torch::Tensor mix = torch::randn({4, 2});
  (single.forward(rows) * mix).sum().backward();
  rows.pool = rows.pool.to(torch::kFloat64);
  const auto loss = [&] { return (net.forward(rows) * mix).sum(); };
  loss().backward();
  for (const auto& item : net.named_parameters()) {
    torch::NoGradGuard no_grad;
    torch::Tensor value = item.value();
    const torch::Tensor kept = value.clone();
    const torch::Tensor way = torch::randn_like(value);
    const double slope = (value.grad() * way).sum().item<double>();
    const double step = 1e-6;
    const auto at = [&](double distance) {
      value.copy_(kept + way * distance);
      return loss().item<double>();
    };
    const double measured = (at(step) - at(-step)) / (2 * step);
    value.copy_(kept);
    EXPECT_NEAR(measured, slope, 1e-5 * std::abs(slope) + 1e-6) << item.key();
    const torch::Tensor difference = single.named_parameters()[item.key()].grad() - value.grad();
    EXPECT_LT(difference.norm().item<double>(), 1e-4 * value.grad().norm().item<double>() + 1e-5)
        << item.key();
  }
}

TEST(TransformerNetTest, ARowsScoreDoesNotDependOnItsNeighbours) {
  const TransformerShape shape = {
      .vocabulary = 50, .width = 24, .layers = 2, .heads = 4, .positions = 40};
  TransformerNet net(shape, 3);
  torch::NoGradGuard no_grad;
  net.named_parameters()["head_weight"].normal_();
  const std::vector<TokenRow> rows = RandomRows(9, 40, 50, 1);
  const torch::Tensor together = net.forward(Pack(rows, torch::kCPU));
  for (size_t i = 0; i < rows.size(); ++i) {
    const torch::Tensor alone =
        net.forward(Pack(absl::MakeConstSpan(rows).subspan(i, 1), torch::kCPU));
    EXPECT_NEAR(alone[0][0].item<double>(), together[static_cast<int64_t>(i)][0].item<double>(),
                1e-5);
  }
}

std::vector<NamedValues> AfterSteps(uint64_t seed) {
  const TransformerShape shape = {.vocabulary = 50, .width = 24, .heads = 4, .positions = 40};
  auto learner = *TransformerLearner::Create(shape, seed, "cpu", 1);
  for (int step = 0; step < 3; ++step) {
    const std::vector<TokenRow> rows = RandomRows(6, 40, 50, static_cast<uint64_t>(step));
    EXPECT_TRUE(learner
                    ->Step(rows, step, 1e-3, 0.5,
                           [](HeadScores& scores) {
                             for (size_t i = 0; i < scores.quality.size(); ++i) {
                               scores.quality_slopes[i] = i % 2 == 0 ? 1 : -1;
                             }
                           })
                    .ok());
  }
  return learner->Averaged();
}

TEST(TransformerLearnerTest, EqualSeedsGiveEqualBits) {
  const auto a = AfterSteps(1), b = AfterSteps(1), c = AfterSteps(2);
  ASSERT_EQ(a.size(), b.size());
  size_t different = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a[i].values, b[i].values) << a[i].name;
    if (a[i].values != c[i].values) ++different;
  }
  EXPECT_GT(different, 0u);
}

TEST(TransformerScorerTest, WeightsOfAnotherShapeAreRefused) {
  auto weights = AfterSteps(1);
  const TransformerShape shape = {.vocabulary = 50, .width = 24, .heads = 4, .positions = 40};
  EXPECT_TRUE(TransformerScorer::Create(shape, weights).ok());
  TransformerShape other = shape;
  other.positions = 41;
  EXPECT_TRUE(absl::IsDataLoss(TransformerScorer::Create(other, weights).status()));
  weights.pop_back();
  EXPECT_TRUE(absl::IsDataLoss(TransformerScorer::Create(shape, weights).status()));
}

}  // namespace
}  // namespace fairlead::trainer
