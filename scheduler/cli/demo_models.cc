// The part of a demo pass that looks at the models: versions, and the reward model on held-out pairs.
#include <algorithm>
#include <cstdio>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/demo_run.h"
#include "scheduler/cli/file.h"
#include "scheduler/cli/submitter.h"

namespace fairlead::cli {
namespace {

// Runs a program to its end and returns what it printed to stdout; FAILED_PRECONDITION with the exit
// code otherwise. Arguments hold no user input.
absl::StatusOr<std::string> OutputOf(const std::string& command) {
  FILE* const pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return absl::InternalError(absl::StrCat("cannot run ", command));
  std::string output;
  char buffer[4096];
  size_t got = 0;
  while ((got = fread(buffer, 1, sizeof(buffer), pipe)) > 0) output.append(buffer, got);
  const int code = pclose(pipe);
  if (code != 0) return absl::FailedPreconditionError(absl::StrCat("failed (", code, "): ", command));
  return output;
}

std::string Quoted(const std::string& argument) {
  std::string quoted = "'";
  for (const char c : argument) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

}  // namespace

absl::StatusOr<std::vector<v1::ModelVersion>> DemoRun::Versions(v1::TaskKind kind) const {
  v1::ListModelsRequest request;
  request.set_parent(client_->tenant_name());
  ASSIGN_OR_RETURN(const v1::ListModelsResponse models,
                   client_->Call(client_->models(), &v1::ModelService::Stub::ListModels, request));
  std::vector<v1::ModelVersion> versions;
  for (const v1::Model& model : models.models()) {
    if (model.kind() != kind) continue;
    v1::ListModelVersionsRequest list;
    list.set_parent(model.name());
    list.set_page_size(1000);
    ASSIGN_OR_RETURN(
        const v1::ListModelVersionsResponse page,
        client_->Call(client_->models(), &v1::ModelService::Stub::ListModelVersions, list));
    versions.insert(versions.end(), page.versions().begin(), page.versions().end());
  }
  std::reverse(versions.begin(), versions.end());
  return versions;
}

absl::Status DemoRun::CollectModels(DemoPass& pass) const {
  ASSIGN_OR_RETURN(const auto ocr, Versions(v1::TASK_KIND_IMAGE_TEXT));
  for (const v1::ModelVersion& version : ocr) {
    if (version.state() == v1::ModelVersion::REFUSED) ++pass.versions_refused;
    if (version.state() != v1::ModelVersion::CHAMPION &&
        version.state() != v1::ModelVersion::RETIRED) {
      continue;
    }
    const auto metric = version.metrics().find("test.exact_match");
    if (metric == version.metrics().end()) {
      return absl::InternalError(absl::StrCat(version.name(), ": no metric test.exact_match"));
    }
    pass.exact_match_by_version.push_back(metric->second);
  }
  ASSIGN_OR_RETURN(const auto reward, Versions(v1::TASK_KIND_PAIR));
  for (const v1::ModelVersion& version : reward) {
    if (version.state() == v1::ModelVersion::CHAMPION) {
      return ScoreReward(version.blob(), pass);
    }
  }
  return absl::OkStatus();
}

absl::Status DemoRun::ScoreReward(const std::string& model_blob, DemoPass& pass) const {
  ASSIGN_OR_RETURN(const std::string model, DownloadBlob(*client_, model_blob));
  const std::string model_file = absl::StrCat(cluster_->options().data_dir, "/reward.model");
  const std::string pair_file = absl::StrCat(cluster_->options().data_dir, "/held_out.jsonl");
  RETURN_IF_ERROR(WriteFile(model_file, model));
  RETURN_IF_ERROR(WriteFile(pair_file, tasks_.held_out));
  ASSIGN_OR_RETURN(const std::string output,
                   OutputOf(absl::StrCat(Quoted(cluster_->options().binary_dir + "/fairlead-trainer"),
                                         " score --model ", Quoted(model_file), " --pairs ",
                                         Quoted(pair_file), " --json 2>/dev/null")));
  ASSIGN_OR_RETURN(const PairScore score, ParsePairScore(output));
  pass.reward_pair_accuracy = score.accuracy;
  pass.reward_pairs = score.pairs;
  return absl::OkStatus();
}

absl::StatusOr<PairScore> ParsePairScore(const std::string& output) {
  const auto json = nlohmann::json::parse(output, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object() || !json.contains("pair_accuracy") || !json.contains("count") ||
      !json["pair_accuracy"].is_number() || !json["count"].is_number_integer()) {
    return absl::InvalidArgumentError("fairlead-trainer score printed no pair_accuracy and count");
  }
  return PairScore{json["pair_accuracy"].get<double>(), json["count"].get<int64_t>()};
}

}  // namespace fairlead::cli
