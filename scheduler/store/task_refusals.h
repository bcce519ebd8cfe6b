// How a TaskStore refuses, in one place: every implementation says the same.
#pragma once

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "common/base/status.h"

namespace fairlead::store {

inline absl::Status NoSuchTask(absl::string_view task) {
  return Error(absl::StatusCode::kNotFound, "TASK_NOT_FOUND", absl::StrCat("no task ", task));
}

inline absl::Status NoSuchProject(absl::string_view project) {
  return Error(absl::StatusCode::kNotFound, "PROJECT_NOT_FOUND",
               absl::StrCat("no project ", project));
}

inline absl::Status ProjectExists(absl::string_view project) {
  return Error(absl::StatusCode::kAlreadyExists, "PROJECT_EXISTS",
               absl::StrCat("project ", project, " exists"));
}

inline absl::Status RevisionChanged(absl::string_view project) {
  return Error(absl::StatusCode::kAborted, "REVISION_CHANGED",
               absl::StrCat("project ", project, " was changed meanwhile; read it again"));
}

inline absl::Status RequestIdReused(absl::string_view request_id) {
  return Error(absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
               absl::StrCat("request_id ", request_id, " was used with another body"));
}

inline absl::Status BacklogFull(absl::string_view project, absl::string_view cap) {
  return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
               absl::StrCat("project ", project, " has reached its backlog cap of ", cap));
}

inline absl::Status LeaseLost(absl::string_view task) {
  return Error(absl::StatusCode::kAborted, "LEASE_LOST",
               absl::StrCat("the place on task ", task,
                            " is no longer this token's; finished work is kept for pay review"));
}

inline absl::Status StateRefusal(absl::string_view reason, absl::string_view message) {
  return Error(absl::StatusCode::kFailedPrecondition, reason, message);
}

inline absl::Status AlreadySubmitted() {
  return StateRefusal("STATE_SUBMITTED", "the assignment has been submitted already");
}

inline absl::Status NotOfThatPlace() {
  return StateRefusal("STATE_PLACE",
                      "only an offer can be declined, and only accepted work extended, returned or "
                      "reported");
}

inline absl::Status NotAccepted() {
  return StateRefusal("STATE_NOT_ACCEPTED", "accept the offer before submitting an answer");
}

inline absl::Status HasEnded(absl::string_view task, absl::string_view state) {
  return StateRefusal("STATE_TERMINAL", absl::StrCat("task ", task, " has ended: ", state));
}

inline absl::Status NotEnded(absl::string_view task, absl::string_view state) {
  return StateRefusal("STATE_NOT_TERMINAL",
                      absl::StrCat("task ", task, " is ", state, "; cancel it first"));
}

inline absl::Status NoSuchAnnotation(absl::string_view task, absl::string_view contractor) {
  return Error(absl::StatusCode::kNotFound, "ANNOTATION_NOT_FOUND",
               absl::StrCat("task ", task, " has no answer of contractor ", contractor));
}

inline absl::Status NotDead(absl::string_view task, absl::string_view state) {
  return StateRefusal("STATE_NOT_DEAD", absl::StrCat("task ", task, " is ", state));
}

inline absl::Status IsRetracted(absl::string_view task) {
  return StateRefusal("STATE_RETRACTED",
                      absl::StrCat("task ", task, " was gold and was retracted: add it anew"));
}

}  // namespace fairlead::store
