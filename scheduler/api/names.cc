#include "scheduler/api/names.h"

#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"
#include "common/base/status.h"

namespace fairlead::api {
namespace {

// The values of a name of the form word/value/word/value…; empty when it has another form.
std::vector<std::string> Values(absl::string_view name, const std::vector<std::string>& words) {
  const std::vector<std::string> parts = absl::StrSplit(name, '/');
  if (parts.size() != words.size() * 2) return {};
  std::vector<std::string> values;
  for (size_t i = 0; i < words.size(); ++i) {
    if (parts[2 * i] != words[i]) return {};
    values.push_back(parts[2 * i + 1]);
  }
  return values;
}

absl::Status Malformed(absl::string_view field, absl::string_view form) {
  return FieldError(field, absl::StrCat("must have the form ", form));
}

constexpr char kTaskForm[] = "tenants/{tenant}/projects/{project}/tasks/{task}";
constexpr char kModelForm[] = "tenants/{tenant}/models/{model}";

}  // namespace

absl::StatusOr<std::string> ParseTenant(absl::string_view field, absl::string_view name) {
  std::vector<std::string> values = Values(name, {"tenants"});
  if (values.empty() || !IsSlug(values[0])) return Malformed(field, "tenants/{tenant}");
  return values[0];
}

absl::StatusOr<ProjectName> ParseProject(absl::string_view field, absl::string_view name) {
  std::vector<std::string> values = Values(name, {"tenants", "projects"});
  if (values.empty() || !IsSlug(values[0]) || !IsSlug(values[1])) {
    return Malformed(field, "tenants/{tenant}/projects/{project}");
  }
  return ProjectName{values[0], values[1]};
}

absl::StatusOr<TaskName> ParseTask(absl::string_view field, absl::string_view name) {
  std::vector<std::string> values = Values(name, {"tenants", "projects", "tasks"});
  if (values.empty() || !IsSlug(values[0]) || !IsSlug(values[1]) || !IsId(values[2])) {
    return Malformed(field, kTaskForm);
  }
  return TaskName{{values[0], values[1]}, values[2]};
}

absl::StatusOr<AssignmentName> ParseAssignment(absl::string_view field, absl::string_view name) {
  std::vector<std::string> values = Values(name, {"tenants", "projects", "tasks", "assignments"});
  if (values.empty() || !IsSlug(values[0]) || !IsSlug(values[1]) || !IsId(values[2]) ||
      !IsId(values[3])) {
    return Malformed(field, absl::StrCat(kTaskForm, "/assignments/{assignment}"));
  }
  return AssignmentName{{{values[0], values[1]}, values[2]}, values[3]};
}

absl::StatusOr<std::string> ParseContractor(absl::string_view field, absl::string_view name) {
  std::vector<std::string> values = Values(name, {"contractors"});
  if (values.empty() || !IsSlug(values[0])) return Malformed(field, "contractors/{contractor}");
  return values[0];
}

absl::StatusOr<ModelName> ParseModel(absl::string_view field, absl::string_view name) {
  std::vector<std::string> values = Values(name, {"tenants", "models"});
  if (values.empty() || !IsSlug(values[0]) || !IsSlug(values[1]))
    return Malformed(field, kModelForm);
  return ModelName{values[0], values[1]};
}

absl::StatusOr<VersionName> ParseVersion(absl::string_view field, absl::string_view name) {
  std::vector<std::string> values = Values(name, {"tenants", "models", "versions"});
  int32_t version = 0;
  if (values.empty() || !IsSlug(values[0]) || !IsSlug(values[1]) ||
      !absl::SimpleAtoi(values[2], &version) || version < 1) {
    return Malformed(field, absl::StrCat(kModelForm, "/versions/{version}"));
  }
  return VersionName{{values[0], values[1]}, version};
}

std::string TenantNameOf(absl::string_view tenant) { return absl::StrCat("tenants/", tenant); }

std::string ProjectNameOf(absl::string_view key) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(key, absl::MaxSplits('/', 1));
  return absl::StrCat("tenants/", parts.first, "/projects/", parts.second);
}

std::string TaskNameOf(absl::string_view project_key, absl::string_view task) {
  return absl::StrCat(ProjectNameOf(project_key), "/tasks/", task);
}

std::string AssignmentNameOf(absl::string_view project_key, absl::string_view task,
                             absl::string_view assignment) {
  return absl::StrCat(TaskNameOf(project_key, task), "/assignments/", assignment);
}

std::string ContractorNameOf(absl::string_view contractor) {
  return absl::StrCat("contractors/", contractor);
}

std::string ModelNameOf(absl::string_view key) {
  const std::pair<std::string, std::string> parts = absl::StrSplit(key, absl::MaxSplits('/', 1));
  return absl::StrCat("tenants/", parts.first, "/models/", parts.second);
}

}  // namespace fairlead::api
