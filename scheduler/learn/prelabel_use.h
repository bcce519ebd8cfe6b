// What a prelabel is used for beside its vote: which contractors are shown it, and which tasks it
// completes alone. Pure; thread-safe. Lots are drawn by a hash of the task, so that they fall the
// same wherever and whenever they are asked for.
#pragma once

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "fairlead/store/v1/records.pb.h"
#include "scheduler/learn/paired_gate.h"

namespace fairlead::learn {

// What contractors are shown of a prelabelled task's prelabel: nothing said where the project shows
// none, BLIND for its blind share (a tenth unless set) of those it shows, else SHOWN.
store::v1::AnnotationRecord::Prelabel ShownOf(absl::string_view task,
                                              const fairlead::v1::ModelLoop& loop);

// The lowest confidence from which the challenger is proven to be right at least `accuracy` often:
// going down from the most confident reading, ten at a time, the exact one-sided 95 % bound of the
// errors so far (Clopper and Pearson 1934) must stay below 1 − accuracy; the first that does not
// ends it, so that looking many times proves no more than looking once (fixed sequence, Maurer
// 1995). 0 when nothing is proven: 59 readings without an error prove 95 %, 299 prove 99 %.
// O(readings²).
double ProvenFrom(const std::vector<PairedItem>& readings, double accuracy);

// The version whose prelabels decide alone, and from which confidence.
struct Proven {
  std::string version;
  double from = 0;  // 0: none does.
};

// The champion where it is proven and the project asks for it.
Proven ProvenOf(const fairlead::v1::ModelLoop& loop, const store::v1::ModelRecord& model);

// Whether a task without answers, neither gold nor a check, is completed on its prelabel alone: it
// is the proven version's at that confidence, and the lot did not fall on the task (a tenth, which
// people answer all the same).
bool IsDecidedByModel(const Proven& proven, absl::string_view task, absl::string_view version,
                      double confidence);

}  // namespace fairlead::learn
