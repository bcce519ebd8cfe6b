// fairlead models: what was trained, what serves, promotion by hand, the way back and the proof.
#include <iostream>
#include <memory>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

absl::Status ListModels(const GlobalOptions& globals) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  v1::ListModelsRequest request;
  request.set_parent(client->tenant_name());
  request.set_page_size(1000);
  std::vector<std::vector<std::string>> rows = {{"MODEL", "KIND", "CHAMPION", "PREVIOUS"}};
  do {
    ASSIGN_OR_RETURN(const v1::ListModelsResponse page,
                     client->Call(client->models(), &v1::ModelService::Stub::ListModels, request));
    for (const v1::Model& model : page.models()) {
      if (globals.json) PrintJson(model);
      rows.push_back({LastPart(model.name()), v1::TaskKind_Name(model.kind()),
                      LastPart(model.champion()), LastPart(model.previous())});
    }
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  if (!globals.json) std::cout << FormatTable(rows);
  return absl::OkStatus();
}

std::string FormatVersion(const v1::ModelVersion& version) {
  std::string text = absl::StrCat(
      LastPart(version.name()), "  ", v1::ModelVersion::State_Name(version.state()), "  ",
      FormatTime(version.create_time()), "\n  gate: ", version.gate_decision(), "\n");
  for (const auto& [name, value] : version.metrics()) {
    absl::StrAppendFormat(&text, "  %-32s %.6g\n", name, value);
  }
  return text;
}

absl::StatusOr<std::vector<v1::ModelVersion>> Versions(Client& client, const std::string& model) {
  v1::ListModelVersionsRequest request;
  request.set_parent(client.ModelName(model));
  request.set_page_size(1000);
  std::vector<v1::ModelVersion> versions;
  do {
    ASSIGN_OR_RETURN(
        const v1::ListModelVersionsResponse page,
        client.Call(client.models(), &v1::ModelService::Stub::ListModelVersions, request));
    versions.insert(versions.end(), page.versions().begin(), page.versions().end());
    request.set_page_token(page.next_page_token());
  } while (!request.page_token().empty());
  return versions;
}

absl::Status ShowModel(const GlobalOptions& globals, const std::string& model) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  ASSIGN_OR_RETURN(const std::vector<v1::ModelVersion> versions, Versions(*client, model));
  for (const v1::ModelVersion& version : versions) {
    if (globals.json) {
      PrintJson(version);
    } else {
      std::cout << FormatVersion(version);
    }
  }
  return absl::OkStatus();
}

struct DiffArguments {
  std::string model, before, after;
};

absl::StatusOr<v1::ModelVersion> Pick(const std::vector<v1::ModelVersion>& versions,
                                      const std::string& number) {
  for (const v1::ModelVersion& version : versions) {
    if (LastPart(version.name()) == number) return version;
  }
  return FieldError("version", absl::StrCat("there is no version ", number,
                                            "; `fairlead models show` lists them"));
}

absl::Status DiffModel(const GlobalOptions& globals, const DiffArguments& arguments) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  ASSIGN_OR_RETURN(const std::vector<v1::ModelVersion> versions,
                   Versions(*client, arguments.model));
  ASSIGN_OR_RETURN(const v1::ModelVersion before, Pick(versions, arguments.before));
  ASSIGN_OR_RETURN(const v1::ModelVersion after, Pick(versions, arguments.after));
  if (globals.json) {
    PrintJson(before);
    PrintJson(after);
  } else {
    std::cout << FormatMetricChanges(before, after);
  }
  return absl::OkStatus();
}

void PrintModel(const GlobalOptions& globals, const v1::Model& model) {
  if (globals.json) {
    PrintJson(model);
  } else {
    std::cout << model.name() << ": champion " << model.champion() << ", previous "
              << model.previous() << "\n";
  }
}

absl::Status Promote(const GlobalOptions& globals, const std::string& version) {
  if (!absl::StrContains(version, "/versions/")) {
    return FieldError("version", "give MODEL/versions/VERSION, as `models show --json` prints it");
  }
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  v1::PromoteModelRequest request;
  request.set_version(client->ModelName(version));
  ASSIGN_OR_RETURN(const v1::Model model,
                   client->Call(client->models(), &v1::ModelService::Stub::PromoteModel, request));
  PrintModel(globals, model);
  return absl::OkStatus();
}

absl::Status Rollback(const GlobalOptions& globals, const std::string& name) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  v1::RollbackModelRequest request;
  request.set_name(client->ModelName(name));
  // A repeated rollback would go forward again: it is never tried twice by itself.
  ASSIGN_OR_RETURN(const v1::Model model,
                   client->Call(client->models(), &v1::ModelService::Stub::RollbackModel, request,
                                absl::ZeroDuration()));
  PrintModel(globals, model);
  return absl::OkStatus();
}

struct RebuildArguments {
  std::string version;
  double wait_seconds = 600;
};

absl::Status JudgeRebuild(const v1::ModelVersion& version) {
  const v1::ModelVersion::Rebuild& rebuild = version.rebuild();
  switch (rebuild.state()) {
    case v1::ModelVersion::Rebuild::SAME:
      return absl::OkStatus();
    case v1::ModelVersion::Rebuild::RUNNING:
      return Error(absl::StatusCode::kDeadlineExceeded, "STILL_RUNNING",
                   absl::StrCat(version.name(), " is still being rebuilt; ask again to wait on"));
    case v1::ModelVersion::Rebuild::DIFFERENT:
      return absl::FailedPreconditionError(
          absl::StrCat("rebuilt to ", rebuild.blob(), ", the version is ", version.blob(), ": ",
                       rebuild.deleted_items() > 0
                           ? absl::StrCat(rebuild.deleted_items(),
                                          " of its items were left out, for answers to them were "
                                          "deleted since")
                           : std::string("another device class or thread count of the worker "
                                         "gives other bits")));
    default:
      return absl::FailedPreconditionError(absl::StrCat("not rebuilt: ", rebuild.error()));
  }
}

absl::Status Rebuild(const GlobalOptions& globals, const RebuildArguments& arguments) {
  if (!absl::StrContains(arguments.version, "/versions/")) {
    return FieldError("version", "give MODEL/versions/VERSION, as `models show --json` prints it");
  }
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kClient));
  v1::RebuildModelRequest request;
  request.set_version(client->ModelName(arguments.version));
  ASSIGN_OR_RETURN(v1::ModelVersion version,
                   client->Call(client->models(), &v1::ModelService::Stub::RebuildModel, request));
  const std::string model = version.name().substr(0, version.name().find("/versions/"));
  const absl::Time deadline = absl::Now() + absl::Seconds(arguments.wait_seconds);
  while (version.rebuild().state() == v1::ModelVersion::Rebuild::RUNNING &&
         absl::Now() < deadline) {
    absl::SleepFor(absl::Seconds(1));
    ASSIGN_OR_RETURN(const std::vector<v1::ModelVersion> versions, Versions(*client, model));
    ASSIGN_OR_RETURN(version, Pick(versions, LastPart(version.name())));
  }
  if (globals.json) PrintJson(version);
  absl::Status verdict = JudgeRebuild(version);
  if (verdict.ok() && !globals.json) std::cout << "the same bytes: " << version.blob() << "\n";
  return verdict;
}

}  // namespace

void AddModelsCommands(CommandLine& line) {
  auto name = std::make_shared<std::string>();
  auto diff = std::make_shared<DiffArguments>();
  auto rebuild = std::make_shared<RebuildArguments>();
  GlobalOptions& globals = line.globals;
  CLI::App* models =
      line.Add(nullptr, "models", "Models: list, show, diff, promote, rollback, rebuild",
               "fairlead models list");
  models->require_subcommand(1);
  line.Add(models, "list", "Models of the tenant", "fairlead models list --json",
           [&globals] { return Finish(ListModels(globals)); });
  line.Add(models, "show", "Versions of a model with their metrics and the gate's reasons",
           "fairlead models show prices-ocr",
           [&globals, name] { return Finish(ShowModel(globals, *name)); })
      ->add_option("model", *name, "Model id or full name")
      ->required();
  CLI::App* compare = line.Add(models, "diff", "What changed in the metrics between two versions",
                               "fairlead models diff prices-ocr 3 4",
                               [&globals, diff] { return Finish(DiffModel(globals, *diff)); });
  compare->add_option("model", diff->model, "Model id or full name")->required();
  compare->add_option("before", diff->before, "Number of a version")->required();
  compare->add_option("after", diff->after, "Number of another")->required();
  line.Add(models, "promote", "Make a version the champion by hand",
           "fairlead models promote prices-ocr/versions/3",
           [&globals, name] { return Finish(Promote(globals, *name)); })
      ->add_option("version", *name, "MODEL/versions/VERSION or full name")
      ->required();
  line.Add(models, "rollback", "Make the previous champion the champion again",
           "fairlead models rollback prices-ocr",
           [&globals, name] { return Finish(Rollback(globals, *name)); })
      ->add_option("model", *name, "Model id or full name")
      ->required();
  CLI::App* again =
      line.Add(models, "rebuild", "Train a version again from its manifest and compare the bytes",
               "fairlead models rebuild prices-ocr/versions/3",
               [&globals, rebuild] { return Finish(Rebuild(globals, *rebuild)); });
  again->add_option("version", rebuild->version, "MODEL/versions/VERSION or full name")->required();
  again->add_option("--wait", rebuild->wait_seconds, "Seconds to wait for the training")
      ->check(CLI::Range(0.0, 1e6))
      ->capture_default_str();
}

}  // namespace fairlead::cli
