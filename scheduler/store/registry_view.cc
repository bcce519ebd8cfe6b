#include "scheduler/store/registry_view.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace fairlead::store {
namespace {

// Values of `map` whose key begins with "<tenant>/" (all with ""), after `after`.
const v1::ProjectRecord& RecordOf(const SharedProjectRecord& record) { return *record; }
const v1::ModelRecord& RecordOf(const v1::ModelRecord& record) { return record; }

template <typename Record, typename Stored>
std::vector<Record> Page(const std::map<std::string, Stored>& map, absl::string_view tenant,
                         absl::string_view after, size_t limit) {
  std::vector<Record> page;
  const std::string prefix = tenant.empty() ? "" : absl::StrCat(tenant, "/");
  auto it = map.lower_bound(prefix);
  if (!after.empty()) it = map.upper_bound(std::string(after));
  for (; it != map.end() && page.size() < limit; ++it) {
    if (!absl::StartsWith(it->first, prefix)) break;
    page.push_back(RecordOf(it->second));
  }
  return page;
}

template <typename Record>
std::optional<Record> Find(const std::map<std::string, Record>& map, absl::string_view key) {
  auto found = map.find(std::string(key));
  if (found == map.end()) return std::nullopt;
  return found->second;
}

}  // namespace

void RegistryView::Apply(const v1::Event& event, int64_t) {
  MutexLock lock(&mu_);
  switch (event.body_case()) {
    case v1::Event::kTenantPut:
      tenants_[event.tenant_put().tenant()] = event.tenant_put();
      break;
    case v1::Event::kTokenPut:
      tokens_[event.token_put().sha256()] = event.token_put();
      break;
    case v1::Event::kProjectPut:
      projects_[event.project_put().project()] =
          std::make_shared<const v1::ProjectRecord>(event.project_put());
      break;
    case v1::Event::kContractorPut:
      contractors_[event.contractor_put().contractor()] = event.contractor_put();
      break;
    case v1::Event::kModelPut:
      models_[event.model_put().model()] = event.model_put();
      break;
    default:
      break;
  }
}

bool RegistryView::HasTenant(absl::string_view tenant) const {
  MutexLock lock(&mu_);
  return tenants_.count(std::string(tenant)) > 0;
}

std::optional<v1::TokenRecord> RegistryView::TokenByHash(absl::string_view sha256) const {
  MutexLock lock(&mu_);
  return Find(tokens_, sha256);
}

std::optional<v1::TokenRecord> RegistryView::TokenById(absl::string_view token_id) const {
  MutexLock lock(&mu_);
  for (const auto& [hash, record] : tokens_) {
    if (record.token_id() == token_id) return record;
  }
  return std::nullopt;
}

absl::StatusOr<SharedProjectRecord> RegistryView::SharedProject(absl::string_view project) const {
  MutexLock lock(&mu_);
  std::optional<SharedProjectRecord> found = Find(projects_, project);
  if (!found.has_value()) {
    return Error(absl::StatusCode::kNotFound, "PROJECT_NOT_FOUND",
                 absl::StrCat("no project ", project));
  }
  return *std::move(found);
}

absl::StatusOr<v1::ProjectRecord> RegistryView::Project(absl::string_view project) const {
  ASSIGN_OR_RETURN(const SharedProjectRecord record, SharedProject(project));
  return *record;
}

std::vector<v1::ProjectRecord> RegistryView::Projects(absl::string_view tenant,
                                                      absl::string_view after, size_t limit) const {
  MutexLock lock(&mu_);
  return Page<v1::ProjectRecord>(projects_, tenant, after, limit);
}

std::optional<v1::ContractorRecord> RegistryView::Contractor(absl::string_view contractor) const {
  MutexLock lock(&mu_);
  return Find(contractors_, contractor);
}

std::vector<std::string> RegistryView::Contractors(absl::string_view after, size_t limit) const {
  MutexLock lock(&mu_);
  std::vector<std::string> page;
  for (auto it = contractors_.upper_bound(std::string(after));
       it != contractors_.end() && page.size() < limit; ++it) {
    page.push_back(it->first);
  }
  return page;
}

std::optional<v1::ModelRecord> RegistryView::Model(absl::string_view model) const {
  MutexLock lock(&mu_);
  return Find(models_, model);
}

std::vector<v1::ModelRecord> RegistryView::Models(absl::string_view tenant, absl::string_view after,
                                                  size_t limit) const {
  MutexLock lock(&mu_);
  return Page<v1::ModelRecord>(models_, tenant, after, limit);
}

std::vector<v1::TenantRecord> RegistryView::Tenants() const {
  MutexLock lock(&mu_);
  std::vector<v1::TenantRecord> all;
  for (const auto& [key, record] : tenants_) all.push_back(record);
  return all;
}

std::vector<v1::TokenRecord> RegistryView::Tokens() const {
  MutexLock lock(&mu_);
  std::vector<v1::TokenRecord> all;
  for (const auto& [key, record] : tokens_) all.push_back(record);
  return all;
}

const fairlead::v1::PayRate& CurrentRate(const v1::ProjectRecord& project) {
  FAIRLEAD_CHECK(project.pay_rates_size() > 0)
      << "project without a pay rate: " << project.project();
  return project.pay_rates(project.pay_rates_size() - 1);
}

}  // namespace fairlead::store
