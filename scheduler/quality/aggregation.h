// From answers to a label with a confidence, and from a completed task to evidence about those who
// answered (hop 9). Pure: no clock, no I/O; thread-safe. The order of votes does not matter, to the
// bit; of several votes of one contractor the first counts; answers of another kind than the
// schema's are left out.
//
//   CLASS, PAIR, IMAGE_TEXT  one-coin Bayes (one_coin.h), uniform over the alternatives.
//   RATING                   median weighted by reliability; confidence that it is right within a
//                            tenth of the range.
//   RANKING                  Borda order by weighted pairwise majority, improved by swaps of
//                            neighbours (Kemeny's criterion); confidence that every neighbouring
//                            pair stands as it is.
//   FREE_TEXT                medoid: the answer with the least reliability-weighted edit distance
//   to
//                            the others; a vote agrees in the share in which the texts do.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "fairlead/store/v1/records.pb.h"
#include "fairlead/v1/resources.pb.h"
#include "scheduler/quality/answer.h"

namespace fairlead::quality {

struct Vote {
  std::string contractor;
  v1::Answer answer;
  double quality = 0.8;  // Posterior mean of the contractor's quality, in (0, 1).
};

// What the champion says. One more voter, discounted for what it learned from the others.
struct ModelVote {
  v1::Answer answer;
  double confidence = 0;  // Calibrated.
};

struct Consensus {
  v1::Answer answer;  // Empty when there was nothing to go by.
  double confidence = 0;
  bool used_prelabel = false;  // The model's vote was counted, for or against.
  std::string method;          // "one-coin/1", "weighted-median/1", "borda/1", "medoid/1".
};

// The aggregated answer. Ties go to the answer with more votes, then to the smaller key.
// O(votes log votes); FREE_TEXT 131,072 · votes² at most.
Consensus Aggregate(const v1::AnswerSchema& schema, const std::vector<Vote>& votes,
                    const std::optional<ModelVote>& model);

// What a completed task says about each voter. Against gold: right or wrong with weight 1 (for
// RANKING the share of pairs in order, for FREE_TEXT the similarity). Without gold: judged by the
// others' consensus, the model's discounted vote among them, and the voter's standing; never by the
// voter's own answer. The standing is needed because the others may err: without it each
// disagreement with one mediocre peer would count as a proven error and all scores would sink.
// The weight is how far the others are above guessing. Entries without weight are dropped, so one
// vote without a model gives none. In order of contractor.
std::vector<store::v1::Evidence> Judge(const v1::AnswerSchema& schema,
                                       const std::vector<Vote>& votes,
                                       const std::optional<ModelVote>& model,
                                       const v1::Answer* gold);

}  // namespace fairlead::quality
