// Puts a process behind whatever else its machine has to do. Linux only.
#pragma once

#include "absl/status/status.h"

namespace fairlead {

// Adds `niceness` (0 changes nothing, at most 19) to that of the calling thread and of every thread
// and program that it starts from now on; call it before any. It becomes one that computes and is
// never in a hurry (SCHED_BATCH), and gives way after 0.1 ms where the kernel has slices of one's
// own (Linux 6.12; EEVDF, Stoica & Abdel-Wahab 1995): one that wakes up would else wait until the
// 3 ms of a slice are over, however nice that is. As ErrnoStatus says where the kernel refuses.
absl::Status StepAside(int niceness);

}  // namespace fairlead
