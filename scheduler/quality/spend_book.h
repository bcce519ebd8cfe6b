// What each project has paid, and how many answers its labels took: folded from the events, so a
// restart comes to the same.
#pragma once

#include <cstdint>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "scheduler/quality/forecast.h"
#include "scheduler/store/event_codec.h"

namespace fairlead::quality {

// Thread-safe. Given each event before the view of open tasks (dispatch/task_view.h): who reads
// first there what is held, and then here what is paid, misses no answer that passes from one to
// the other.
class SpendBook final : public store::EventSink {
 public:
  void Apply(const store::v1::Event& event, int64_t position) override;

  // With what is completed and paid; nothing of what waits.
  Progress Of(absl::string_view project) const;

 private:
  mutable Mutex mu_;
  absl::flat_hash_map<std::string, Progress> projects_ ABSL_GUARDED_BY(mu_);
};

}  // namespace fairlead::quality
