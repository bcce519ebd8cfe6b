#include "common/base/step_aside.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>

#include "common/base/file.h"

namespace fairlead {
namespace {

constexpr uint64_t kSliceNanoseconds = 100'000;  // The shortest that the kernel gives.
constexpr int kMostNice = 19;

// As sched_setattr(2) takes it; glibc has it from 2.41 on.
struct Attributes {
  uint32_t size = sizeof(Attributes);
  uint32_t policy = SCHED_BATCH;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = kSliceNanoseconds;
  uint64_t deadline = 0;
  uint64_t period = 0;
};
static_assert(sizeof(Attributes) == 48);

}  // namespace

absl::Status StepAside(int niceness) {
  if (niceness <= 0) return absl::OkStatus();
  Attributes attributes;
  attributes.nice = std::min(getpriority(PRIO_PROCESS, 0) + niceness, kMostNice);
  if (syscall(SYS_sched_setattr, 0, &attributes, 0) != 0) {
    return ErrnoStatus("lowering the priority");
  }
  return absl::OkStatus();
}

}  // namespace fairlead
