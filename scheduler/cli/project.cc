// fairlead project: create, show, pause, resume.
#include <iostream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/project_flags.h"

namespace fairlead::cli {
namespace {

void PrintProject(const GlobalOptions& globals, const v1::Project& project) {
  if (globals.json) {
    PrintJson(project);
    return;
  }
  const v1::Project::Counts& counts = project.counts();
  const v1::Redundancy& redundancy = project.settings().redundancy();
  std::cout << project.name() << "  "
            << v1::TaskKind_Name(project.settings().answer_schema().kind()) << "  "
            << v1::Project::State_Name(project.state()) << "\n  tasks: " << counts.submitted()
            << " submitted = " << counts.ready() << " ready + " << counts.delayed() << " delayed + "
            << counts.open() << " open + " << counts.completed() << " completed + "
            << counts.cancelled() << " cancelled + " << counts.expired() << " expired + "
            << counts.dead() << " dead; " << counts.annotations()
            << " answers\n  answers a task: " << redundancy.min_answers() << "–"
            << redundancy.max_answers() << " until confidence " << redundancy.target_confidence()
            << "\n";
  if (project.settings().has_qualification()) {
    const v1::QualificationTest& test = project.settings().qualification();
    std::cout << "  test of " << test.skill() << ": " << test.questions() << " questions, "
              << absl::StrFormat("%g %%", 100 * test.pass_mark()) << " right to pass, "
              << test.takes() << " takes\n";
  }
  if (project.pay_rates_size() > 0) {
    const v1::PayRate& rate = project.pay_rates(project.pay_rates_size() - 1);
    std::cout << "  pay an answer: " << FormatMoney(rate.micros_per_annotation(), rate.currency())
              << " (rate version " << rate.version() << ")\n";
    if (project.has_forecast()) {
      const v1::Project::Forecast& forecast = project.forecast();
      std::cout << "  cost: " << FormatMoney(forecast.paid_micros(), rate.currency()) << " paid, "
                << FormatMoney(forecast.to_go_micros(), rate.currency()) << " to go ("
                << absl::StrFormat("%.0f answers at %.2f a task", forecast.answers_to_go(),
                                   forecast.answers_per_task())
                << ")" << (forecast.budget_spent() ? "; the budget is spent" : "") << "\n";
    }
  }
}

enum class Verb { kCreate, kShow, kPause, kResume };

absl::Status RunProject(const GlobalOptions& globals, Verb verb, const std::string& name,
                        const ProjectFlags& flags) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  const std::string full_name = client->ProjectName(name);
  absl::StatusOr<v1::Project> project = absl::InternalError("unset");
  if (verb == Verb::kCreate) {
    project = CreateProject(*client, name, flags);
  } else if (verb == Verb::kShow) {
    v1::GetProjectRequest request;
    request.set_name(full_name);
    project = client->Call(client->projects(), &v1::ProjectService::Stub::GetProject, request);
  } else if (verb == Verb::kPause) {
    v1::PauseProjectRequest request;
    request.set_name(full_name);
    project = client->Call(client->admin(), &v1::AdminService::Stub::PauseProject, request);
  } else {
    v1::ResumeProjectRequest request;
    request.set_name(full_name);
    project = client->Call(client->admin(), &v1::AdminService::Stub::ResumeProject, request);
  }
  RETURN_IF_ERROR(project.status());
  PrintProject(globals, *project);
  return absl::OkStatus();
}

}  // namespace

void AddProjectCommands(CommandLine& line) {
  auto name = std::make_shared<std::string>();
  auto flags = std::make_shared<ProjectFlags>();
  GlobalOptions& globals = line.globals;
  CLI::App* project = line.Add(nullptr, "project", "Projects: create, show, pause, resume",
                               "fairlead project show prices");
  project->require_subcommand(1);
  const auto add = [&](const std::string& verb_name, const std::string& description,
                       const std::string& example, Verb verb) {
    CLI::App* command = line.Add(
        project, verb_name, description, example,
        [&globals, name, flags, verb] { return Finish(RunProject(globals, verb, *name, *flags)); });
    command->add_option("project", *name, "Project id or full name")->required();
    return command;
  };
  DeclareProjectFlags(
      add("create", "Create a project; the same settings again are fine",
          "fairlead project create prices --kind ocr --pay 20000 --train --prelabel\n"
          "  fairlead project create latin-test --kind class --class yes --class no "
          "--test-skill latin --questions 20 --pass-mark 0.9 --retake-after 14",
          Verb::kCreate),
      *flags, /*with_kind=*/true);
  add("show", "Settings, counts, pay", "fairlead project show prices --json", Verb::kShow);
  add("pause", "Offer nothing until resumed", "fairlead project pause prices", Verb::kPause);
  add("resume", "Offer again", "fairlead project resume prices", Verb::kResume);
}

}  // namespace fairlead::cli
