// Resource names (AIP-122):
// `tenants/{tenant}/projects/{project}/tasks/{task}/assignments/{assignment}` and so on, read and
// written. Reading checks every part; errors name the request's field.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "scheduler/store/task_store.h"

namespace fairlead::api {

struct ProjectName {
  std::string tenant;
  std::string project;
  std::string key() const { return tenant + "/" + project; }  // As inside.
};

struct TaskName {
  ProjectName project;
  std::string task;
  store::TaskRef ref() const { return {project.key(), task}; }
};

struct AssignmentName {
  TaskName task;
  std::string assignment;
};

struct ModelName {
  std::string tenant;
  std::string model;
  std::string key() const { return tenant + "/" + model; }
};

struct VersionName {
  ModelName model;
  int32_t version = 0;
};

// INVALID_ARGUMENT with `field` and the form a name must have.
absl::StatusOr<std::string> ParseTenant(absl::string_view field, absl::string_view name);
absl::StatusOr<ProjectName> ParseProject(absl::string_view field, absl::string_view name);
absl::StatusOr<TaskName> ParseTask(absl::string_view field, absl::string_view name);
absl::StatusOr<AssignmentName> ParseAssignment(absl::string_view field, absl::string_view name);
absl::StatusOr<std::string> ParseContractor(absl::string_view field, absl::string_view name);
absl::StatusOr<ModelName> ParseModel(absl::string_view field, absl::string_view name);
absl::StatusOr<VersionName> ParseVersion(absl::string_view field, absl::string_view name);

std::string TenantNameOf(absl::string_view tenant);
// `key` is `{tenant}/{project}`.
std::string ProjectNameOf(absl::string_view key);
std::string TaskNameOf(absl::string_view project_key, absl::string_view task);
std::string AssignmentNameOf(absl::string_view project_key, absl::string_view task,
                             absl::string_view assignment);
std::string ContractorNameOf(absl::string_view contractor);
std::string ModelNameOf(absl::string_view key);

}  // namespace fairlead::api
