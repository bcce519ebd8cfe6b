#include "scheduler/collect/pay_folder.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::collect {
namespace {

// Entries a round: bounds the function call, whose keys are the contractors.
constexpr size_t kBatch = 500;
// Folded entries that are kept: a Redis that lost the end of its file has lost what was folded
// last.
constexpr size_t kKept = 10'000;

}  // namespace

void PayFolder::Apply(const store::v1::Event& event, int64_t) {
  const store::v1::AnnotationRecord* work = store::PaidWork(event);
  if (work == nullptr) return;
  const store::v1::PayRecord& pay = work->pay();
  MutexLock lock(&mu_);
  noted_[event.slot()].entries.push_back({event.seq(), pay.contractor(), pay.micros()});
}

void PayFolder::Rewind(const std::string& slot, uint64_t cursor) {
  MutexLock lock(&mu_);
  Noted& noted = noted_[slot];
  while (noted.folded > 0 && noted.entries[noted.folded - 1].seq > cursor) --noted.folded;
}

absl::Status PayFolder::FoldHome(const std::string& home, const std::string& slot,
                                 const Batch& batch) {
  ASSIGN_OR_RETURN(uint64_t cursor, homes_->FoldCursor(home, slot));
  if (cursor < batch.folded_to) {
    Rewind(slot, cursor);
    return absl::UnavailableError(absl::StrCat("balances of ", home, " went back; folded again"));
  }
  std::map<std::string, store::PayDelta> deltas;
  for (const Entry& entry : batch.entries) {
    if (entry.seq <= cursor || topology_.HomeOf(entry.contractor) != home) continue;
    store::PayDelta& delta = deltas[entry.contractor];
    delta.micros += entry.micros;
    ++delta.annotations;
  }
  if (batch.entries.empty() || batch.entries.back().seq <= cursor) return absl::OkStatus();
  // False means that another folder was faster; the next round reads its cursor.
  return homes_->Fold(home, slot, cursor, batch.entries.back().seq, deltas).status();
}

absl::StatusOr<int> PayFolder::RunOnce() {
  std::map<std::string, Batch> batches;
  {
    MutexLock lock(&mu_);
    for (auto& [slot, noted] : noted_) {
      Batch& batch = batches[slot];
      if (noted.folded > 0) batch.folded_to = noted.entries[noted.folded - 1].seq;
      const auto begin = noted.entries.begin() + static_cast<std::ptrdiff_t>(noted.folded);
      const size_t n = std::min(noted.entries.size() - noted.folded, kBatch);
      batch.entries = {begin, begin + static_cast<std::ptrdiff_t>(n)};
    }
  }
  int folded = 0;
  for (const auto& [slot, batch] : batches) {
    for (const std::string& home : topology_.HomeSlots()) {
      RETURN_IF_ERROR(FoldHome(home, slot, batch));
    }
    folded += static_cast<int>(batch.entries.size());
    MutexLock lock(&mu_);
    Noted& noted = noted_[slot];
    noted.folded += batch.entries.size();
    while (noted.folded > kKept) {
      noted.entries.pop_front();
      --noted.folded;
    }
  }
  return folded;
}

}  // namespace fairlead::collect
