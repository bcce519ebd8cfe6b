// The part of a demo pass that looks at the models: versions, and the reward model on held-out
// pairs.
#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "scheduler/cli/demo_run.h"
#include "scheduler/cli/file.h"
#include "scheduler/cli/submitter.h"

namespace fairlead::cli {
namespace {

// Runs a program to its end, its output discarded; FAILED_PRECONDITION when it does not exit with
// 0.
absl::Status RunToEnd(std::vector<std::string> arguments) {
  std::vector<char*> argv;
  argv.reserve(arguments.size() + 1);
  for (std::string& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  for (const int fd : {STDOUT_FILENO, STDERR_FILENO}) {
    posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
  }
  pid_t pid = 0;
  const int error = posix_spawn(&pid, argv[0], &actions, nullptr, argv.data(), environ);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return absl::NotFoundError(absl::StrCat("cannot run ", arguments[0], ": ", strerror(error)));
  }
  int wait_status = 0;
  while (waitpid(pid, &wait_status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(wait_status) && WEXITSTATUS(wait_status) == 0) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat(arguments[0], " ", arguments[1], " failed"));
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

std::vector<double> DemoRun::DecisionSeconds(const std::vector<v1::ModelVersion>& versions) const {
  std::vector<double> seconds;
  for (const auto& [task, outcome] : ocr_log_->outcomes()) {
    if (outcome.state != v1::Task::COMPLETED) continue;
    for (const v1::ModelVersion& version : versions) {
      const absl::Time decided = absl::FromUnixSeconds(version.create_time().seconds()) +
                                 absl::Nanoseconds(version.create_time().nanos());
      const auto trained = version.metrics().find("seconds");
      if (trained == version.metrics().end()) continue;
      if (outcome.seen > decided - absl::Seconds(trained->second)) continue;
      seconds.push_back(absl::ToDoubleSeconds(decided - outcome.seen));
      break;
    }
  }
  return seconds;
}

absl::Status DemoRun::CollectModels(DemoPass& pass) const {
  ASSIGN_OR_RETURN(const auto ocr, Versions(v1::TASK_KIND_IMAGE_TEXT));
  pass.decision_seconds = DecisionSeconds(ocr);
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
  const std::string folder = absl::StrCat(cluster_->options().data_dir, "/reward");
  RETURN_IF_ERROR(MakeDirectory(folder));
  RETURN_IF_ERROR(WriteFile(folder + "/model.safetensors", model));
  RETURN_IF_ERROR(WriteFile(folder + "/held_out.jsonl", tasks_.held_out));
  RETURN_IF_ERROR(
      RunToEnd({cluster_->options().binary_dir + "/fairlead-trainer", "score", "--model", folder,
                "--in", folder + "/held_out.jsonl", "--out", folder + "/scores.jsonl"}));
  ASSIGN_OR_RETURN(const std::string scores, ReadFile(folder + "/scores.jsonl"));
  ASSIGN_OR_RETURN(const PairScore score, ParsePairScores(scores));
  pass.reward_pair_accuracy = score.accuracy;
  pass.reward_pairs = score.pairs;
  return absl::OkStatus();
}

absl::StatusOr<PairScore> ParsePairScores(absl::string_view scores) {
  PairScore score;
  double right = 0;
  for (absl::string_view line : absl::StrSplit(scores, '\n', absl::SkipWhitespace())) {
    const auto json = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
    const auto number = [&json](const char* key) {
      return json.is_object() && json.contains(key) && json[key].is_number();
    };
    if (!number("score_chosen") || !number("score_rejected")) {
      return absl::InvalidArgumentError(
          absl::StrCat("fairlead-trainer score wrote no scores of a pair: ", line));
    }
    const double lead = json["score_chosen"].get<double>() - json["score_rejected"].get<double>();
    // A model that cannot tell is right half of the time.
    right += lead > 0 ? 1 : (lead == 0 ? 0.5 : 0);
    ++score.pairs;
  }
  if (score.pairs == 0) return absl::InvalidArgumentError("no pair was scored");
  score.accuracy = right / static_cast<double>(score.pairs);
  return score;
}

}  // namespace fairlead::cli
