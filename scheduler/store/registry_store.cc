#include "scheduler/store/registry_store.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"
#include "scheduler/store/slots.h"

namespace fairlead::store {

absl::StatusOr<uint64_t> RegistryStore::Put(absl::string_view kind, const std::string& key,
                                            absl::string_view id, int64_t revision,
                                            const std::string& record) {
  ASSIGN_OR_RETURN(Outcome outcome,
                   caller_->Invoke(kRegistrySlot, {"fl_registry_put",
                                                   {key},
                                                   {std::string(kind), std::string(id),
                                                    absl::StrCat(revision), record}}));
  if (outcome.ok()) return outcome.seq;
  return Error(absl::StatusCode::kAborted, "REVISION_CHANGED",
               absl::StrCat(kind, " ", id, " was changed meanwhile; read it again"));
}

absl::StatusOr<uint64_t> RegistryStore::PutTenant(const v1::TenantRecord& record) {
  absl::StatusOr<uint64_t> seq =
      Put("tenant", redis::TenantsKey(), record.tenant(), 0, record.SerializeAsString());
  if (!seq.ok() && ReasonOf(seq.status()) == "REVISION_CHANGED") return 0;
  return seq;
}

absl::StatusOr<uint64_t> RegistryStore::PutToken(const v1::TokenRecord& record, int64_t revision) {
  return Put("token", redis::TokensKey(), record.sha256(), revision, record.SerializeAsString());
}

absl::StatusOr<uint64_t> RegistryStore::PutModel(v1::ModelRecord record) {
  const int64_t read = record.revision();
  record.set_revision(read + 1);
  return Put("model", redis::ModelsKey(), record.model(), read, record.SerializeAsString());
}

absl::StatusOr<bool> Lead(redis::ConnectionPool& pool, absl::string_view replica,
                          absl::string_view token, absl::Duration lease) {
  ASSIGN_OR_RETURN(redis::Reply reply,
                   redis::CallFunction(pool, "fl_registry_lead", {redis::LeaderKey()},
                                       {"0", std::string(replica), std::string(token),
                                        absl::StrCat(absl::ToInt64Milliseconds(lease))}));
  return !reply.elements.empty() && reply.elements[0].AsText() == "OK";
}

}  // namespace fairlead::store
