// How far a project has come, by what this replica has seen: for its forecast and its budget.
#pragma once

#include <string>

#include "absl/strings/string_view.h"
#include "scheduler/api/parts.h"
#include "scheduler/quality/forecast.h"

namespace fairlead::api {

quality::Progress ProgressOf(const Parts& parts, absl::string_view project);

// Why none of the project's tasks is offered to anybody, as a line for people, with what to do
// about it; empty where its budget leaves room.
std::string WhyNotOffered(const Parts& parts, const store::v1::ProjectRecord& project);

}  // namespace fairlead::api
