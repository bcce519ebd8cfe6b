// LOOP: folds pay entries from the task shards into the contractors' homes, exactly once: the
// home's cursor moves with the addition in one function call, so a crash or a second folder changes
// nothing. A Redis that comes back without its last writes has its homes' cursors behind what this
// process has folded: the last 10,000 entries of a shard are kept for that and folded again.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "common/base/mutex.h"
#include "scheduler/store/event_codec.h"
#include "scheduler/store/home_store.h"
#include "scheduler/store/slots.h"

namespace fairlead::collect {

class PayFolder final : public store::EventSink {
 public:
  PayFolder(store::HomeStore* homes, store::Topology topology)
      : homes_(homes), topology_(topology) {}

  // Takes note of accepted annotations. Thread-safe.
  void Apply(const store::v1::Event& event, int64_t position) override;

  // Folds what has been noted; returns how many entries. UNAVAILABLE while Redis is away, and once
  // where it lost what was folded: the next round folds that again. One thread.
  absl::StatusOr<int> RunOnce();

 private:
  struct Entry {
    uint64_t seq = 0;
    std::string contractor;
    int64_t micros = 0;
  };
  // Of one slot, in order.
  struct Noted {
    std::deque<Entry> entries;
    size_t folded = 0;  // Of them, from the front; kept for a while.
  };
  struct Batch {
    uint64_t folded_to = 0;  // The sequence up to which this process has folded.
    std::deque<Entry> entries;
  };

  absl::Status FoldHome(const std::string& home, const std::string& slot, const Batch& batch);
  // What came after `cursor` is to be folded again.
  void Rewind(const std::string& slot, uint64_t cursor);

  store::HomeStore* const homes_;
  const store::Topology topology_;
  Mutex mu_;
  std::map<std::string, Noted> noted_ ABSL_GUARDED_BY(mu_);  // By task slot.
};

}  // namespace fairlead::collect
