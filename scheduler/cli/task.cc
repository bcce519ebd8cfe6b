// fairlead task: end a task, take back gold that was wrong, or delete a contractor's answer to a
// task that has ended.
#include <iostream>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

struct TaskArguments {
  std::string task;
  std::string contractor;
  std::string reason;
};

absl::Status CheckName(const std::string& task) {
  if (absl::StartsWith(task, "tenants/")) return absl::OkStatus();
  return FieldError("task", "give the full name, tenants/…/projects/…/tasks/…");
}

void Print(const GlobalOptions& globals, const v1::Task& task) {
  if (globals.json) {
    PrintJson(task);
    return;
  }
  std::cout << task.name() << " " << v1::Task::State_Name(task.state()) << "\n";
}

absl::Status Cancel(const GlobalOptions& globals, const TaskArguments& arguments) {
  RETURN_IF_ERROR(CheckName(arguments.task));
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  v1::CancelTaskRequest request;
  request.set_name(arguments.task);
  request.set_reason(arguments.reason);
  ASSIGN_OR_RETURN(const v1::Task task,
                   client->Call(client->tasks(), &v1::TaskService::Stub::CancelTask, request));
  Print(globals, task);
  return absl::OkStatus();
}

absl::Status Retract(const GlobalOptions& globals, const TaskArguments& arguments) {
  RETURN_IF_ERROR(CheckName(arguments.task));
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  v1::RetractGoldRequest request;
  request.set_name(arguments.task);
  request.set_reason(arguments.reason);
  ASSIGN_OR_RETURN(const v1::Task task,
                   client->Call(client->tasks(), &v1::TaskService::Stub::RetractGold, request));
  Print(globals, task);
  return absl::OkStatus();
}

absl::Status DeleteAnswer(const GlobalOptions& globals, const TaskArguments& arguments) {
  RETURN_IF_ERROR(CheckName(arguments.task));
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  v1::DeleteAnnotationRequest request;
  request.set_name(arguments.task);
  request.set_contractor(absl::StartsWith(arguments.contractor, "contractors/")
                             ? arguments.contractor
                             : absl::StrCat("contractors/", arguments.contractor));
  ASSIGN_OR_RETURN(
      const v1::Task task,
      client->Call(client->tasks(), &v1::TaskService::Stub::DeleteAnnotation, request));
  Print(globals, task);
  return absl::OkStatus();
}

}  // namespace

void AddTaskCommands(CommandLine& line) {
  auto arguments = std::make_shared<TaskArguments>();
  GlobalOptions& globals = line.globals;
  CLI::App* task = line.Add(
      nullptr, "task", "Tasks: cancel, retract, delete-answer",
      "fairlead task cancel tenants/acme/projects/prices/tasks/01hf3v6c9m2k4x8q0r5t7w1y3z");
  task->require_subcommand(1);
  CLI::App* cancel =
      line.Add(task, "cancel", "End a task; work already accepted is kept for pay review",
               "fairlead task cancel tenants/acme/projects/prices/tasks/01hf3v6c9m2k4x8q0r5t7w1y3z",
               [&globals, arguments] { return Finish(Cancel(globals, *arguments)); });
  cancel->add_option("--reason", arguments->reason, "Why; at most 1 KiB");
  CLI::App* deletion = line.Add(
      task, "delete-answer",
      "Delete a contractor's answer to an ended task: no read shows it, no model learns from it",
      "fairlead task delete-answer tenants/acme/projects/prices/tasks/01hf3v6c9m2k4x8q0r5t7w1y3z "
      "ana",
      [&globals, arguments] { return Finish(DeleteAnswer(globals, *arguments)); });
  CLI::App* retraction = line.Add(
      task, "retract",
      "Take back a gold task whose answer was wrong: nobody is judged by it any more",
      "fairlead task retract tenants/acme/projects/prices/tasks/01hf3v6c9m2k4x8q0r5t7w1y3z "
      "--reason \"the price is 12.80\"",
      [&globals, arguments] { return Finish(Retract(globals, *arguments)); });
  retraction->add_option("--reason", arguments->reason, "Why; at most 1 KiB")->required();
  for (CLI::App* command : {cancel, retraction, deletion}) {
    command->add_option("task", arguments->task, "The task's full name")->required();
  }
  deletion->add_option("contractor", arguments->contractor, "Whose answer, as in `explain`")
      ->required();
}

}  // namespace fairlead::cli
