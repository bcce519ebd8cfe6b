#include "scheduler/store/home_store.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/redis/keys.h"

namespace fairlead::store {
namespace {

constexpr size_t kPresenceBatch = 256;  // So that nobody waits long behind it.

}  // namespace

absl::StatusOr<uint64_t> HomeStore::PutContractor(const v1::ContractorRecord& record) {
  const std::string home = topology_.HomeOf(record.contractor());
  ASSIGN_OR_RETURN(Outcome outcome,
                   caller_->Invoke(home, {"fl_home_contractor_put",
                                          {redis::ContractorsKey(home),
                                           redis::ContractorKey(home, record.contractor())},
                                          {record.contractor(), record.SerializeAsString()}}));
  return outcome.seq;
}

Invocation HomeStore::PresenceCall(const std::string& home, absl::string_view contractor,
                                   int32_t credit, absl::Duration lifetime) {
  return {"fl_home_presence",
          {redis::PresenceKey(home), redis::CreditKey(home)},
          {std::string(contractor), absl::StrCat(credit),
           absl::StrCat(absl::ToInt64Milliseconds(lifetime))}};
}

absl::Status HomeStore::SetPresence(absl::string_view contractor, int32_t credit,
                                    absl::Duration lifetime) {
  const std::string home = topology_.HomeOf(contractor);
  return caller_->Invoke(home, PresenceCall(home, contractor, credit, lifetime)).status();
}

absl::Status HomeStore::SetPresence(const std::map<std::string, int32_t>& credits,
                                    absl::Duration lifetime) {
  std::map<std::string, std::vector<Invocation>> by_home;
  absl::Status first;
  const auto send = [&](const std::string& home, std::vector<Invocation>& calls) {
    const absl::StatusOr<std::vector<Outcome>> outcomes =
        caller_->InvokeAll(home, std::exchange(calls, {}));
    first.Update(outcomes.status());
    if (!outcomes.ok()) return;
    for (const Outcome& outcome : *outcomes) {
      if (!outcome.ok()) first.Update(absl::UnavailableError(outcome.code));
    }
  };
  for (const auto& [contractor, credit] : credits) {
    const std::string home = topology_.HomeOf(contractor);
    std::vector<Invocation>& calls = by_home[home];
    calls.push_back(PresenceCall(home, contractor, credit, lifetime));
    if (calls.size() >= kPresenceBatch) send(home, calls);
  }
  for (auto& [home, calls] : by_home) {
    if (!calls.empty()) send(home, calls);
  }
  return first;
}

absl::StatusOr<bool> HomeStore::Fold(absl::string_view home, absl::string_view task_slot,
                                     uint64_t from, uint64_t to,
                                     const std::map<std::string, PayDelta>& deltas) {
  Invocation call{"fl_home_fold",
                  {redis::FoldCursorKey(home)},
                  {std::string(task_slot), absl::StrCat(from), absl::StrCat(to)}};
  for (const auto& [contractor, delta] : deltas) {
    call.keys.push_back(redis::ContractorKey(home, contractor));
    call.arguments.push_back(absl::StrCat(delta.micros));
    call.arguments.push_back(absl::StrCat(delta.annotations));
  }
  ASSIGN_OR_RETURN(Outcome outcome, caller_->Invoke(home, call));
  return outcome.ok();
}

absl::StatusOr<uint64_t> HomeStore::FoldCursor(absl::string_view home,
                                               absl::string_view task_slot) const {
  ASSIGN_OR_RETURN(redis::Reply reply, caller_->pool().Call({"HGET", redis::FoldCursorKey(home),
                                                             std::string(task_slot)}));
  return static_cast<uint64_t>(reply.AsInt());
}

absl::StatusOr<PayDelta> HomeStore::Balance(absl::string_view contractor) const {
  const std::string home = topology_.HomeOf(contractor);
  ASSIGN_OR_RETURN(
      redis::Reply reply,
      caller_->pool().Call({"HMGET", redis::ContractorKey(home, contractor), "bal", "n"}));
  if (reply.elements.size() != 2) return absl::InternalError("unexpected reply to HMGET");
  return PayDelta{reply.elements[0].AsInt(), reply.elements[1].AsInt()};
}

}  // namespace fairlead::store
