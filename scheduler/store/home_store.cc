#include "scheduler/store/home_store.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/redis/keys.h"

namespace fairlead::store {

absl::StatusOr<uint64_t> HomeStore::PutContractor(const v1::ContractorRecord& record) {
  const std::string home = topology_.HomeOf(record.contractor());
  ASSIGN_OR_RETURN(Outcome outcome,
                   caller_->Invoke(home, {"fl_home_contractor_put",
                                          {redis::ContractorsKey(home),
                                           redis::ContractorKey(home, record.contractor())},
                                          {record.contractor(), record.SerializeAsString()}}));
  return outcome.seq;
}

absl::Status HomeStore::SetPresence(absl::string_view contractor, int32_t credit,
                                    absl::Duration lifetime) {
  const std::string home = topology_.HomeOf(contractor);
  return caller_
      ->Invoke(home, {"fl_home_presence",
                      {redis::PresenceKey(home), redis::CreditKey(home)},
                      {std::string(contractor), absl::StrCat(credit),
                       absl::StrCat(absl::ToInt64Milliseconds(lifetime))}})
      .status();
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
