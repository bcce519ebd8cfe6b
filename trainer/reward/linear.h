// The Bradley–Terry fit behind TrainReward (Bradley and Terry 1952): P(A better) = σ(w·(x_A −
// x_B)). Torch-free.
#pragma once

#include <cstdint>
#include <vector>

#include "trainer/reward/ngrams.h"

namespace fairlead::trainer {

// One comparison: features of A minus features of B, P(A better) as judged, weight.
struct Comparison {
  SparseVector difference;
  double target = 1.0;
  double weight = 1.0;
};

struct LinearFitOptions {
  int bits = 16;
  int epochs = 20;
  double l2 = 1e-4;
  uint64_t seed = 1;
};

SparseVector Subtract(const SparseVector& a, const SparseVector& b);
double Dot(const std::vector<float>& weights, const SparseVector& vector);
// Without overflow for any x.
double LogisticLoss(double margin, double target);
double Sigmoid(double x);

// Minimises mean weighted cross-entropy + l2/2 · |w|² by AdaGrad steps (Duchi et al. 2011) in an
// order that Philox shuffles from the seed; the same input gives the same bits.
std::vector<float> FitLinear(const std::vector<Comparison>& comparisons,
                             const LinearFitOptions& options);

// The temperature (0.05–20) with the least cross-entropy of σ(margin / temperature); 1 when there
// are fewer than 20 comparisons.
double FitMarginTemperature(const std::vector<float>& weights,
                            const std::vector<Comparison>& comparisons);

}  // namespace fairlead::trainer
