// fairlead explain: what happened to a task, who was offered it, and why.
#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

std::string FormatDecision(const v1::Decision& decision) {
  std::string text = absl::StrFormat(
      "\n%s  offered to %s: rank %d of %d, for %s, policy %s, seed %u%s%s%s\n",
      FormatTime(decision.create_time()), decision.contractor(), decision.rank(),
      decision.candidate_count(),
      absl::FormatDuration(absl::Seconds(decision.offer_window().seconds()) +
                           absl::Nanoseconds(decision.offer_window().nanos())),
      decision.policy_version(), decision.seed(), decision.adjudication() ? ", as adjudicator" : "",
      decision.parallel() ? ", beside other offers of the place" : "",
      decision.duplicate() ? ", because somebody takes long" : "");
  std::vector<std::vector<std::string>> rows = {
      {"  CANDIDATE", "INDEX", "QUALITY", "SAMPLED", "GAIN", "SECONDS", "FAIR", "EXCLUDED BY"}};
  for (const auto& candidate : decision.candidates()) {
    rows.push_back({absl::StrCat("  ", candidate.contractor()),
                    absl::StrFormat("%.4f", candidate.index()),
                    absl::StrFormat("%.3f", candidate.quality_mean()),
                    absl::StrFormat("%.3f", candidate.quality_sampled()),
                    absl::StrFormat("%.4f", candidate.information_gain()),
                    absl::StrFormat("%.2f", candidate.expected_seconds()),
                    absl::StrFormat("%.3f", candidate.fair_share()), candidate.excluded_by()});
  }
  absl::StrAppend(&text, FormatTable(rows));
  if (!decision.flip().empty())
    absl::StrAppend(&text, "  would have been: ", decision.flip(), "\n");
  return text;
}

// What the answers alone would state, where the project's gold tells better.
std::string RawConfidence(const v1::Label& label) {
  if (label.raw_confidence() <= 0) return "";
  return absl::StrFormat(" (%.4f before calibration on gold)", label.raw_confidence());
}

std::string FormatTask(const v1::Task& task) {
  std::string text =
      absl::StrCat(task.name(), "\n  state ", v1::Task::State_Name(task.state()), ", answers ",
                   task.received_answers(), " of ", task.wanted_answers(), " wanted\n");
  if (task.has_prelabel()) {
    absl::StrAppendFormat(&text, "  prelabel \"%s\", confidence %.3f, by %s\n",
                          FormatAnswer(task.prelabel().answer()), task.prelabel().confidence(),
                          task.prelabel().model_version());
  }
  for (const v1::Annotation& annotation : task.annotations()) {
    absl::StrAppendFormat(&text, "  %s  %s answered %s\n", FormatTime(annotation.create_time()),
                          annotation.contractor(),
                          annotation.deleted()
                              ? "(deleted)"
                              : absl::StrCat("\"", FormatAnswer(annotation.answer()), "\""));
  }
  if (task.has_label()) {
    absl::StrAppendFormat(&text, "  label \"%s\", confidence %.4f%s, from %d answers%s%s, %s\n",
                          FormatAnswer(task.label().answer()), task.label().confidence(),
                          RawConfidence(task.label()), task.label().answers(),
                          task.label().used_prelabel() ? " and the prelabel" : "",
                          task.label().adjudicated() ? ", the last an adjudicator's" : "",
                          task.label().aggregation());
  }
  if (!task.end_reason().empty()) absl::StrAppend(&text, "  ended: ", task.end_reason(), "\n");
  return text;
}

std::string FormatJob(const std::string& name, const v1::ExplainJobResponse& job) {
  std::string text = absl::StrCat(name, "\n  ", job.state(), ": ", job.reason(), "\n");
  if (job.state() == "done") return text;
  absl::StrAppendFormat(&text, "  %s%s%s, flow %s (%d leased, %d waiting), priority %d\n",
                        job.kind(), job.requirements().empty() ? "" : " needs ", job.requirements(),
                        job.flow(), job.flow_leased(), job.flow_waiting(), job.priority());
  absl::StrAppendFormat(&text, "  failed %d times, lost with its worker %d times\n", job.attempts(),
                        job.crashes());
  if (!job.error().empty()) absl::StrAppend(&text, "  last error: ", job.error(), "\n");
  if (!job.progress().empty()) absl::StrAppend(&text, "  progress: ", job.progress(), "\n");
  if (job.has_deadline()) absl::StrAppend(&text, "  deadline ", FormatTime(job.deadline()), "\n");
  return text;
}

absl::Status ExplainJob(const GlobalOptions& globals, const std::string& name) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  v1::ExplainJobRequest request;
  request.set_name(name);
  ASSIGN_OR_RETURN(const v1::ExplainJobResponse response,
                   client->Call(client->jobs(), &v1::JobService::Stub::ExplainJob, request));
  if (globals.json) {
    PrintJson(response);
  } else {
    std::cout << FormatJob(name, response);
  }
  return absl::OkStatus();
}

absl::Status RunExplain(const GlobalOptions& globals, const std::string& task,
                        const std::string& project) {
  if (absl::StartsWith(task, "jobs/")) return ExplainJob(globals, task);
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  v1::ExplainTaskRequest request;
  request.set_name(absl::StartsWith(task, "tenants/")
                       ? task
                       : absl::StrCat(client->ProjectName(project), "/tasks/", task));
  if (!absl::StartsWith(task, "tenants/") && project.empty()) {
    return FieldError("task", "give the full name, or --project with the id");
  }
  ASSIGN_OR_RETURN(const v1::ExplainTaskResponse response,
                   client->Call(client->tasks(), &v1::TaskService::Stub::ExplainTask, request));
  if (globals.json) {
    PrintJson(response);
    return absl::OkStatus();
  }
  std::cout << FormatTask(response.task());
  for (const std::string& event : response.history()) std::cout << "  " << event << "\n";
  for (const v1::Decision& decision : response.decisions()) std::cout << FormatDecision(decision);
  return absl::OkStatus();
}

}  // namespace

void AddExplainCommand(CommandLine& line) {
  auto task = std::make_shared<std::string>();
  auto project = std::make_shared<std::string>();
  GlobalOptions& globals = line.globals;
  CLI::App* command =
      line.Add(nullptr, "explain", "What happened to a task, or keeps a job waiting",
               "fairlead explain --project prices 01hf3v6c9m2k4x8q0r5t7w1y3z",
               [&globals, task, project] { return Finish(RunExplain(globals, *task, *project)); });
  command->add_option("task", *task, "Task id or full name, or jobs/JOB")->required();
  command->add_option("--project", *project, "Project of a task id");
}

}  // namespace fairlead::cli
