#include "scheduler/collect/pay_folder.h"

#include <algorithm>
#include <utility>

#include "common/base/status.h"

namespace fairlead::collect {
namespace {

// Entries a round: bounds the function call, whose keys are the contractors.
constexpr size_t kBatch = 500;

}  // namespace

void PayFolder::Apply(const store::v1::Event& event, int64_t) {
  const store::v1::AnnotationRecord* work = store::PaidWork(event);
  if (work == nullptr) return;
  const store::v1::PayRecord& pay = work->pay();
  MutexLock lock(&mu_);
  noted_[event.slot()].push_back({event.seq(), pay.contractor(), pay.micros()});
}

absl::Status PayFolder::FoldHome(const std::string& home, const std::string& slot,
                                 const std::deque<Entry>& entries) {
  ASSIGN_OR_RETURN(uint64_t cursor, homes_->FoldCursor(home, slot));
  std::map<std::string, store::PayDelta> deltas;
  for (const Entry& entry : entries) {
    if (entry.seq <= cursor || topology_.HomeOf(entry.contractor) != home) continue;
    store::PayDelta& delta = deltas[entry.contractor];
    delta.micros += entry.micros;
    ++delta.annotations;
  }
  if (entries.back().seq <= cursor) return absl::OkStatus();
  // False means that another folder was faster; the next round reads its cursor.
  return homes_->Fold(home, slot, cursor, entries.back().seq, deltas).status();
}

absl::StatusOr<int> PayFolder::RunOnce() {
  std::map<std::string, std::deque<Entry>> batches;
  {
    MutexLock lock(&mu_);
    for (auto& [slot, entries] : noted_) {
      const size_t n = std::min(entries.size(), kBatch);
      if (n > 0)
        batches[slot] = {entries.begin(), entries.begin() + static_cast<std::ptrdiff_t>(n)};
    }
  }
  int folded = 0;
  for (const auto& [slot, entries] : batches) {
    for (const std::string& home : topology_.HomeSlots()) {
      RETURN_IF_ERROR(FoldHome(home, slot, entries));
    }
    folded += static_cast<int>(entries.size());
    MutexLock lock(&mu_);
    std::deque<Entry>& noted = noted_[slot];
    noted.erase(noted.begin(), noted.begin() + static_cast<std::ptrdiff_t>(entries.size()));
  }
  return folded;
}

}  // namespace fairlead::collect
