// Challengers of known worth, for the gate's benchmark: each trial draws new items and new models.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/learn/paired_gate.h"

namespace fairlead::bench {

enum class Challenger {
  kSame,        // The same recipe and data with other random draws.
  kBetter,      // Truly better by about 3 points.
  kClassLost,   // Better, but wrong wherever a class occurs.
  kSwapped,     // Its heads are swapped.
  kStale,       // Served with features normalised as they no longer are.
  kNotANumber,  // Some of its outputs are NaN.
  kFlipped20,   // Retrained on the champion's data with 20 % of the labels turned round.
  kFlipped5,
};

class GateCase {
 public:
  virtual ~GateCase() = default;
  virtual std::string name() const = 0;
  // Results of champion and challenger on 1,500 frozen and 1,500 prequential items that neither was
  // trained on.
  virtual learn::PairedEvidence Draw(Challenger challenger, uint32_t trial) = 0;
};

// Linear reward models fitted to harmlessness pairs. NOT_FOUND without the data.
absl::StatusOr<std::unique_ptr<GateCase>> RewardGateCase();

// Two readers of the prices in the OCR set: right or wrong is drawn for each real text from a
// shared difficulty and an own part (a probit model), not read from images.
absl::StatusOr<std::unique_ptr<GateCase>> ReaderGateCase();

}  // namespace fairlead::bench
