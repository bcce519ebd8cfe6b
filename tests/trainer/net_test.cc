#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "trainer/compat.h"
#include "trainer/nn/ocr_net.h"
#include "trainer/optim/adamw.h"

namespace fairlead::trainer {
namespace {

// Expected values: the same network in Python (timm's nfnet.py) in float64.
TEST(NfnetTest, GoldenForwardOfEcaNfnetL0) {
  torch::NoGradGuard no_grad;
  NfnetConfig config = *ConfigOfVariant("full", 224);
  config.in_channels = 3;
  OcrNet net(
      config,
      *MakeHead(
          {.kind = "pool", .positions = 1, .classes = 1000, .in_channels = config.final_channels}));
  net->to(torch::kFloat64);
  int64_t count = 0, k = 0;
  for (const auto& item : net->named_parameters()) {
    torch::Tensor value = item.value();
    const torch::Tensor i = torch::arange(value.numel(), torch::kFloat64);
    const std::string& name = item.key();
    if (name.size() >= 4 && name.compare(name.size() - 4, 4, "gain") == 0) {
      value.copy_((1 + 0.1 * torch::sin(0.7 * i + k)).view_as(value));
    } else {
      const double scale = name.compare(0, 4, "head") == 0 ? 0.01 : 1.0;
      value.copy_((scale * torch::sin(0.37 * i + k)).view_as(value));
    }
    count += value.numel();
    ++k;
  }
  EXPECT_EQ(count, 24143924);
  EXPECT_EQ(k, 185);
  const torch::Tensor input =
      torch::sin(0.05 * torch::arange(2 * 3 * 64 * 192, torch::kFloat64)).view({2, 3, 64, 192});
  const torch::Tensor logits = net->forward(input).view({2, 1000});
  const double expected[] = {-2.106472427, 6.170001593, -3.375474134, -3.142505864, 6.185891172};
  for (int i = 0; i < 5; ++i) EXPECT_NEAR(logits[0][i].item<double>(), expected[i], 1e-9);
  EXPECT_NEAR(logits.sum().item<double>(), 6.674642403, 1e-9);
  EXPECT_NEAR(logits.abs().mean().item<double>(), 3.950164865, 1e-9);
  EXPECT_NEAR(logits.std().item<double>(), 4.387368306, 1e-9);
}

// Gains and biases of a net that has learnt something: no branch is silent.
void Enliven(torch::nn::Module& net) {
  int64_t k = 0;
  for (const auto& item : net.named_parameters()) {
    torch::Tensor value = item.value();
    const std::string& name = item.key();
    const torch::Tensor wave = torch::sin(torch::arange(value.numel()) * 0.7 + ++k);
    if (absl::EndsWith(name, "gain")) value.copy_((1 + 0.3 * wave).view_as(value));
    if (absl::EndsWith(name, "bias")) value.copy_((0.2 * wave).view_as(value));
  }
}

TEST(NfnetTest, FoldingKeepsTheLogits) {
  torch::NoGradGuard no_grad;
  for (const char* variant : {"tiny", "eighth", "quarter"}) {
    OcrConfig config;
    config.variant = variant;
    config.positions = 4;
    config.head = "flat";
    config.alphabet = *Alphabet::FromSymbols({"a", "b"});
    OcrNet net = *MakeOcrNet(config);
    InitialiseParameters(*net, 3);
    Enliven(*net);
    const torch::Tensor input =
        torch::sin(torch::arange(2 * 32 * 128, torch::kFloat32) * 0.1).view({2, 1, 32, 128});
    const torch::Tensor before = net->forward(input);
    net->Fold();
    const double scale = before.abs().max().item<double>();
    const double apart = (before - net->forward(input)).abs().max().item<double>();
    EXPECT_GT(scale, 0.01) << variant;
    EXPECT_LT(apart, 1e-5 * scale) << variant;
  }
}

// The family is one configuration struct; counts as tests/bench/ocr_reference.py has them.
TEST(NfnetTest, VariantsHaveTheirSizes) {
  const struct {
    const char* variant;
    int height;
    int64_t parameters;
    std::vector<int64_t> map;
  } kCases[] = {{"full", 64, 21838924 - 288, {1, 2304, 2, 6}},
                {"half", 64, 6545204, {1, 1152, 2, 6}},
                {"quarter", 64, 1644566, {1, 576, 2, 6}},
                {"eighth", 64, 385523, {1, 384, 2, 6}},
                {"eighth", 32, 319475, {1, 384, 2, 8}}};
  for (const auto& one : kCases) {
    torch::NoGradGuard no_grad;
    Nfnet net(*ConfigOfVariant(one.variant, one.height));
    int64_t count = 0;
    for (const torch::Tensor& parameter : net->parameters()) count += parameter.numel();
    EXPECT_EQ(count, one.parameters) << one.variant;
    const torch::Tensor input = torch::ones({1, 1, one.height, one.height == 64 ? 192 : 128});
    EXPECT_EQ(net->forward(input).sizes().vec(), one.map) << one.variant;
  }
}

TEST(NfnetTest, BlocksBeginAsTheirShortcutsAndSignalsKeepTheirSize) {
  torch::NoGradGuard no_grad;
  for (const char* variant : {"tiny", "eighth"}) {
    Nfnet net(*ConfigOfVariant(variant, 32));
    InitialiseParameters(*net, 5);
    const torch::Tensor input =
        torch::sin(torch::arange(4 * 32 * 128, torch::kFloat32).square()).view({4, 1, 32, 128}) *
        std::sqrt(2.0);
    const double deviation = net->forward(input).std().item<double>();
    EXPECT_GT(deviation, 0.1) << variant;
    EXPECT_LT(deviation, 3.0) << variant;
  }
}

TEST(NfnetTest, WarmStartTakesOverAModelOfFewerClassesAndPositions) {
  torch::NoGradGuard no_grad;
  for (const char* head : {"column", "flat", "ctc"}) {
    OcrConfig small;
    small.head = head;
    small.positions = 4;
    small.alphabet = *Alphabet::FromSymbols({"1", "2"});
    OcrConfig large = small;
    large.positions = 6;
    large.alphabet = *Alphabet::FromSymbols({"1", "2", "3"});
    OcrNet from = *MakeOcrNet(small), to = *MakeOcrNet(large);
    InitialiseParameters(*from, 1);
    InitialiseParameters(*to, 2);
    EXPECT_EQ(CopyMatchingParameters(*from, *to).left, 0) << head;
    const torch::Tensor old_weight = from->named_parameters()["head.weight"];
    torch::Tensor block = to->named_parameters()["head.weight"];
    if (std::string(head) == "flat") {
      block = block.narrow(0, 2, 4).narrow(1, 0, 3);  // The last four positions.
    } else {
      block = block.narrow(0, 0, 3);
    }
    EXPECT_TRUE(block.equal(old_weight)) << head;
  }
}

// What a GPU computes by whole tensors is what the CPU computes in one pass.
TEST(AdamWTest, BothWaysToStepAgree) {
  torch::NoGradGuard no_grad;
  const auto make = [] {
    OcrConfig config;
    config.variant = "eighth";
    config.head = "flat";
    config.positions = 3;
    config.alphabet = *Alphabet::FromSymbols({"a", "b"});
    OcrNet net = *MakeOcrNet(config);
    InitialiseParameters(*net, 3);
    Enliven(*net);
    return net;
  };
  OcrNet first_net = make(), second_net = make();
  FlatParameters first(*first_net, torch::kCPU), second(*second_net, torch::kCPU);
  AdamW one_pass(first, AdamWOptions{}), by_tensors(second, {.tensors_on_cpu = true});
  const torch::Tensor place = torch::arange(first.weights().numel(), torch::kFloat32);
  double clipped = 0;
  for (int step = 0; step < 4; ++step) {
    for (const FlatParameters* parameters : {&first, &second}) {
      for (const ParameterSlice& slice : parameters->slices()) {  // Nothing in the padding.
        parameters->gradients()
            .narrow(0, slice.offset, slice.size)
            .copy_(torch::sin(place.narrow(0, slice.offset, slice.size) * 0.3 + step) * 0.011);
      }
    }
    clipped = one_pass.Step(step, 0.01, 0.9).clipped_share;
    by_tensors.Step(step, 0.01, 0.9);
  }
  EXPECT_GT(clipped, 0.05);
  EXPECT_LT(clipped, 0.95);
  const auto apart = [](const torch::Tensor& a, const torch::Tensor& b) {
    return ((a - b).abs() / (b.abs() + 1e-3)).max().item<double>();
  };
  EXPECT_LT(apart(second.weights(), first.weights()), 1e-4);
  EXPECT_LT(apart(by_tensors.averaged(), one_pass.averaged()), 1e-4);
  EXPECT_LT(apart(by_tensors.second_moment(), one_pass.second_moment()), 1e-4);
  EXPECT_EQ(second.gradients().abs().max().item<double>(), 0.0);
}

}  // namespace
}  // namespace fairlead::trainer
