// Internal to aggregate_classes: how well mixtures of models do on what they have not seen, gold
// that was hidden from them or votes that were held out. Pure; thread-safe; folds come from fixed
// hashes, so equal inputs give equal bits.
#pragma once

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "scheduler/quality/batch/calibration.h"
#include "scheduler/quality/batch/class_models.h"
#include "scheduler/quality/batch/label_matrix.h"

namespace fairlead::quality::batch {

struct Assessment {
  size_t best = 0;          // Of the candidates.
  Calibration calibration;  // Of the best one's confidence.
};

// Gold tasks that have a vote.
int64_t AnsweredGold(const LabelMatrix& labels, absl::Span<const int32_t> gold);

// Each half of the gold is hidden in turn. The best candidate gives hidden truths the highest
// likelihood; its confidence is calibrated on them. Costs two fits of each model.
Assessment AssessByGold(const std::vector<Model>& models, const std::vector<Weights>& candidates,
                        const LabelMatrix& labels, absl::Span<const int32_t> gold);

// Two fifths of the votes are held out, a fifth at a time. The best candidate gives them the
// highest likelihood; its log-odds are tempered by what gives it then. Costs two fits of each
// model.
Assessment AssessByVotes(const std::vector<Model>& models, const std::vector<Weights>& candidates,
                         const LabelMatrix& labels, absl::Span<const int32_t> gold);

}  // namespace fairlead::quality::batch
