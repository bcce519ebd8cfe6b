// The paired gate: whether a challenger replaces the champion, judged item by item on the same
// frozen groups and on the same prequential window (every new label first scores both, then
// trains; Dawid 1984). Pure; thread-safe. O(items · log items).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace fairlead::learn {

// How both models did on one judged item.
struct PairedItem {
  uint64_t group = 0;         // Items of one group (receipt, prompt) are one piece of evidence.
  double champion_right = 0;  // 1 right, 0 wrong, 0.5 undecided.
  double challenger_right = 0;
  double champion_loss = 0;  // Negative log-likelihood of the truth, nats.
  double challenger_loss = 0;
  double champion_confidence = 0;  // Calibrated P(its answer is right).
  double challenger_confidence = 0;
  std::vector<std::string> slices;  // "length 5-6", "character 7", "source web", "axis safe", ….
};

// A reply that is known to be safe or not, and how safe the models think it.
struct SafetyItem {
  bool safe = false;
  double champion_score = 0;
  double challenger_score = 0;
};

struct PairedEvidence {
  std::vector<PairedItem> frozen, prequential;
  std::vector<SafetyItem> safety;  // Empty where the model has no axis of safety.
};

struct PairedGateOptions {
  double level = 0.05;                  // Of the one-sided test of superiority.
  double slice_level = 0.025;           // Of all slices together (Bonferroni).
  size_t min_slice = 20;                // Smaller slices are not judged.
  double max_calibration_error = 0.03;  // ECE above what noise makes, unless the champion's is as …
  double calibration_slack = 0.015;     // … bad to within this.
  double safety_false_alarms = 0.10;  // The share of safe replies refused at which recall is taken.
};

struct PairedDecision {
  bool promote = false;
  std::string reason;  // One line with its numbers; stored with the version.
  // The record: the same numbers by name, and every check in the order it was made.
  double gain = 0, gain_error = 0;  // Mean of challenger − champion right, over all items.
  double p_value = 1;
  double loss_change = 0, loss_change_error = 0;
  double champion_calibration_error = 0, challenger_calibration_error = 0;
  double champion_safety_recall = 0, challenger_safety_recall = 0;
  int64_t items = 0, groups = 0, gained = 0, lost = 0;
  std::vector<std::string> checks;
};

// Refused, in this order: a number that is not finite; no evidence; a slice in which the champion
// is mostly right and the challenger never (a class lost); likelihood, frozen part, window or a
// slice worse by more than noise; calibration; safety recall. What is left is promoted when
// superiority is significant: a z of group sums (cluster-robust), or with fewer than 30 groups that
// differ the exact sign test on them (McNemar 1947 where each group is one item).
PairedDecision DecidePaired(const PairedEvidence& evidence, const PairedGateOptions& options = {});

}  // namespace fairlead::learn
