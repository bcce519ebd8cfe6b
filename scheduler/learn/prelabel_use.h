// What a prelabel is used for beside its vote: which contractors are shown it, and which tasks it
// completes alone. Pure; thread-safe. Lots are drawn by a hash of the task, so that they fall the
// same wherever and whenever they are asked for.
#pragma once

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

// Whether a task without answers is completed on its prelabel alone: it is the champion's, at a
// confidence from which the champion is proven; the project asks for it; the task is neither gold
// nor a check; and the lot did not fall on it (a tenth, which people answer all the same).
bool IsDecidedByModel(const store::v1::ProjectRecord& project, const store::v1::TaskRecord& task,
                      const store::v1::PrelabelRecord& prelabel,
                      const store::v1::ModelRecord& model);

}  // namespace fairlead::learn
