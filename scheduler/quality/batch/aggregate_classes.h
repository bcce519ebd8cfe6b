// One label with a confidence for every task of a whole set of class answers: what `fairlead
// aggregate` and the replay simulator call. Pure; thread-safe; equal inputs give equal bits.
//
//   mv         majority; everybody counts the same.
//   weighted   votes weigh the log-odds of their authors' agreement with the majority.
//   onecoin    robust one coin (one_coin_fit.h).
//   hds        hierarchical Dawid–Skene: rows shrunk to the crowd's (confusion_em.h).
//   ds         plain Dawid–Skene (1979), for reference: it needs many answers a contractor.
//   auto       a mixture of posteriors of one coin (with and without a learned class prior) and
//              hierarchical Dawid–Skene (shrunk to the crowd's rows and to the contractor's own
//              coin). With 20 answered gold tasks the shares are those that give gold, hidden from
//              the fit, the highest likelihood (stacking, Wolpert 1992). Otherwise the family that
//              gives held-out votes the higher likelihood has 60 %: likelihood rewards explaining
//              answers, not being right, so the other family keeps a say.
//
// Confidence: with 20 answered gold tasks calibrated on hidden gold (calibration.h); otherwise its
// log-odds are tempered until held-out votes agree with it best. Errors that contractors share can
// be seen on gold only, so without gold it remains too high on hard tasks.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "scheduler/quality/batch/calibration.h"
#include "scheduler/quality/batch/label_matrix.h"

namespace fairlead::quality::batch {

enum class Method { kAuto, kMajority, kWeighted, kOneCoin, kHierarchical, kDawidSkene };

// By the names above. INVALID_ARGUMENT listing them.
absl::StatusOr<Method> ParseMethod(absl::string_view name);
absl::string_view MethodName(Method method);

struct ClassLabels {
  std::vector<int32_t> label;      // [task]; gold where there is some; kUnknown without any answer.
  std::vector<double> confidence;  // [task]; P(label is right); 1 for gold, 0 for kUnknown.
  std::vector<double> right;       // [contractor]: expected share of right answers; the prior's 0.7
                                   // with the weight of eight answers.
  Calibration calibration;         // Applied to the confidences already.
  bool calibrated_on_gold = false;
  double hierarchical_share = 0;  // Of hierarchical Dawid–Skene in the mixture.
};

// `gold` has a class or kUnknown for every task and is pinned. INVALID_ARGUMENT naming the task for
// gold out of range or of another size. Sets whose confusion matrices would not fit in memory
// (FitsDense) get one coin under auto, and RESOURCE_EXHAUSTED under hds and ds.
absl::StatusOr<ClassLabels> AggregateClasses(const LabelMatrix& labels,
                                             absl::Span<const int32_t> gold, Method method);

}  // namespace fairlead::quality::batch
