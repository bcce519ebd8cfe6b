// fairlead submit, submit ocr, submit pairs: tasks from files. What cannot be used is set aside and
// named with its reason; the rest is submitted (exit code 3).
#include <filesystem>
#include <iostream>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/file.h"
#include "scheduler/cli/image_set.h"
#include "scheduler/cli/labels.h"
#include "scheduler/cli/print.h"
#include "scheduler/cli/project_flags.h"
#include "scheduler/cli/submitter.h"
#include "scheduler/cli/task_lines.h"

namespace fairlead::cli {
namespace {

// Tasks held in memory before they are sent.
constexpr int64_t kPartBytes = 64 << 20;

struct SubmitFlags {
  std::string project;
  std::string run_id;
  std::string file;       // jsonl.
  std::string images;     // ocr.
  std::string labels;     // ocr.
  std::string group_end;  // ocr.
  bool gold = false;
  bool create = false;
  ProjectFlags settings;
};

// Collects tasks, sends a part whenever enough are there, and counts.
class Submission {
 public:
  Submission(const Client& client, const SubmitFlags& flags, bool json)
      : client_(client), flags_(flags), json_(json) {}

  absl::Status Add(NewTask task) {
    bytes_ += static_cast<int64_t>(task.task.ByteSizeLong());
    tasks_.push_back(std::move(task));
    return bytes_ >= kPartBytes ? Send() : absl::OkStatus();
  }

  void SetAside(const std::string& what, const absl::Status& reason) {
    ++set_aside_;
    std::cerr << "set aside: " << what << ": " << reason.message() << "\n";
    aside_.push_back({{"file", what}, {"reason", std::string(reason.message())}});
  }

  absl::Status Send() {
    if (tasks_.empty()) return absl::OkStatus();
    SubmitOptions options;
    options.project = client_.ProjectName(flags_.project);
    // A part has its number in its run: the same files make the same parts.
    options.run_id = absl::StrCat(flags_.run_id, "/", part_++);
    options.on_progress = [this](int64_t done, int64_t total) {
      line_.Show(absl::StrCat("submitted ", submitted_ + done, " of ", submitted_ + total,
                              " read so far"));
    };
    ASSIGN_OR_RETURN(const std::vector<std::string> names, SubmitAll(client_, tasks_, options));
    submitted_ += static_cast<int64_t>(names.size());
    tasks_.clear();
    bytes_ = 0;
    return absl::OkStatus();
  }

  int Report() const {
    if (json_) {
      const nlohmann::ordered_json out = {
          {"submitted", submitted_}, {"set_aside", set_aside_}, {"files", aside_}};
      std::cout << out.dump() << "\n";
    } else {
      std::cout << "submitted " << submitted_ << (flags_.gold ? " gold tasks" : " tasks") << " to "
                << client_.ProjectName(flags_.project);
      if (set_aside_ > 0) std::cout << ", set aside " << set_aside_;
      std::cout << "\n";
    }
    return set_aside_ > 0 ? kExitPartial : kExitOk;
  }

 private:
  const Client& client_;
  const SubmitFlags& flags_;
  const bool json_;
  StatusLine line_;
  std::vector<NewTask> tasks_;
  nlohmann::ordered_json aside_ = nlohmann::ordered_json::array();
  int64_t bytes_ = 0;
  int64_t submitted_ = 0;
  int64_t set_aside_ = 0;
  int part_ = 0;
};

// "train/001_021.jpg" with end "_" is of group "train/001".
std::string GroupOf(const std::string& name, const std::string& end) {
  if (end.empty()) return "";
  const size_t at = name.rfind(end);
  return at == std::string::npos ? name : name.substr(0, at);
}

absl::StatusOr<std::unique_ptr<Client>> OpenProject(const GlobalOptions& globals,
                                                    const SubmitFlags& flags) {
  ASSIGN_OR_RETURN(std::unique_ptr<Client> client, Client::Connect(globals, Speaker::kClient));
  v1::GetProjectRequest request;
  request.set_name(client->ProjectName(flags.project));
  const absl::Status found =
      client->Call(client->projects(), &v1::ProjectService::Stub::GetProject, request).status();
  if (absl::IsNotFound(found)) {
    if (!flags.create) {
      return Annotate(found, absl::StrCat("no project ", flags.project, ": give --create"));
    }
    RETURN_IF_ERROR(CreateProject(*client, flags.project, flags.settings).status());
  } else {
    RETURN_IF_ERROR(found);
  }
  return client;
}

absl::StatusOr<int> SubmitImages(const GlobalOptions& globals, const SubmitFlags& flags) {
  // The labels are read whole first: a bad line stops everything before anything is submitted.
  const bool listed_only = !flags.labels.empty();
  std::map<std::string, LabelLine> labels;
  if (!flags.labels.empty()) {
    ASSIGN_OR_RETURN(const std::vector<LabelLine> lines, ReadLabels(flags.labels));
    for (const LabelLine& line : lines) labels.emplace(line.file, line);
  }
  if (flags.gold && !listed_only) return FieldError("labels", "--gold needs --labels");
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, OpenProject(globals, flags));
  Submission submission(*client, flags, globals.json);
  const auto visit = [&](const std::string& name, std::string bytes,
                         const absl::Status& error) -> absl::Status {
    const auto label = labels.find(name);
    if (listed_only && label == labels.end()) return absl::OkStatus();
    const absl::Status usable = error.ok() ? CheckImage(bytes) : error;
    NewTask task;
    if (label != labels.end()) {
      if (flags.gold) task.answer.emplace().set_text(label->second.text);
      labels.erase(label);
    }
    if (!usable.ok()) {
      submission.SetAside(name, usable);
      return absl::OkStatus();
    }
    task.task.set_external_id(name);
    task.task.set_group(GroupOf(name, flags.group_end));
    RETURN_IF_ERROR(AttachImage(*client, std::move(bytes), task.task));
    return submission.Add(std::move(task));
  };
  RETURN_IF_ERROR(VisitImages(flags.images, visit));
  RETURN_IF_ERROR(submission.Send());
  for (const auto& [file, line] : labels) {
    submission.SetAside(absl::StrCat(flags.labels, ":", line.line),
                        absl::NotFoundError(absl::StrCat(file, " is not among the images")));
  }
  return submission.Report();
}

absl::StatusOr<int> SubmitLines(const GlobalOptions& globals, const SubmitFlags& flags) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(flags.file, 1 << 30));
  ASSIGN_OR_RETURN(std::vector<TaskLine> lines, ParseTaskLines(text, flags.file));
  if (flags.gold) {
    for (const TaskLine& line : lines) {
      if (line.answer.has_value()) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(flags.file, ":", line.line, ": --gold needs an \"answer\""));
    }
  }
  ASSIGN_OR_RETURN(const std::unique_ptr<Client> client, OpenProject(globals, flags));
  Submission submission(*client, flags, globals.json);
  const std::filesystem::path folder = std::filesystem::path(flags.file).parent_path();
  for (TaskLine& line : lines) {
    NewTask task;
    task.task = std::move(line.task);
    if (flags.gold) task.answer = std::move(line.answer);
    if (!line.image_file.empty()) {
      absl::StatusOr<std::string> bytes = ReadFile((folder / line.image_file).string(), 16 << 20);
      const absl::Status usable = bytes.ok() ? CheckImage(*bytes) : bytes.status();
      if (!usable.ok()) {
        submission.SetAside(absl::StrCat(flags.file, ":", line.line, " ", line.image_file), usable);
        continue;
      }
      RETURN_IF_ERROR(AttachImage(*client, *std::move(bytes), task.task));
    }
    RETURN_IF_ERROR(submission.Add(std::move(task)));
  }
  RETURN_IF_ERROR(submission.Send());
  return submission.Report();
}

int FinishWith(const absl::StatusOr<int>& outcome) {
  return outcome.ok() ? *outcome : Finish(outcome.status());
}

void DeclareCommon(CLI::App* command, SubmitFlags& flags, bool with_kind) {
  command->add_option("--project", flags.project, "Project id or full name");
  command->add_option("--run-id", flags.run_id,
                      "Name it to submit the same content a second time on purpose");
  command->add_flag("--gold", flags.gold, "These are gold tasks: their answers are known");
  command->add_flag("--create", flags.create, "Create the project when it does not exist");
  DeclareProjectFlags(command, flags.settings, with_kind);
}

int RequireProject(const SubmitFlags& flags) {
  if (!flags.project.empty()) return kExitOk;
  std::cerr << "--project is required\n";
  return kExitUsage;
}

}  // namespace

void AddSubmitCommands(CommandLine& line) {
  auto flags = std::make_shared<SubmitFlags>();
  auto ocr_flags = std::make_shared<SubmitFlags>();
  auto pair_flags = std::make_shared<SubmitFlags>();
  ocr_flags->settings.kind = "ocr";
  pair_flags->settings.kind = "pair";
  GlobalOptions& globals = line.globals;

  CLI::App* submit = line.Add(nullptr, "submit", "Submit tasks",
                              "fairlead submit --project topics --file tasks.jsonl");
  submit->require_subcommand(0, 1);
  DeclareCommon(submit, *flags, /*with_kind=*/true);
  submit->add_option("--file", flags->file, "JSON lines, one task each");

  CLI::App* ocr =
      line.Add(submit, "ocr", "Images whose text is to be typed",
               "fairlead submit ocr --project prices --create --images images.tar --labels "
               "labels.tsv --gold",
               [&globals, ocr_flags] {
                 const int usage = RequireProject(*ocr_flags);
                 return usage != kExitOk ? usage : FinishWith(SubmitImages(globals, *ocr_flags));
               });
  DeclareCommon(ocr, *ocr_flags, /*with_kind=*/false);
  ocr->add_option("--images", ocr_flags->images, "A folder or a tar archive")->required();
  ocr->add_option(
      "--labels", ocr_flags->labels,
      "labels.tsv: submit only the files it names; with --gold its texts are the answers");
  ocr->add_option("--group-end", ocr_flags->group_end,
                  "A file name up to the last TEXT is its group (items of one source)");

  CLI::App* pairs =
      line.Add(submit, "pairs", "Pairs of responses to choose between",
               "fairlead submit pairs --project helpful --create --file pairs.jsonl",
               [&globals, pair_flags] {
                 const int usage = RequireProject(*pair_flags);
                 return usage != kExitOk ? usage : FinishWith(SubmitLines(globals, *pair_flags));
               });
  DeclareCommon(pairs, *pair_flags, /*with_kind=*/false);
  pairs->add_option("--file", pair_flags->file, "JSON lines with prompt, response_a, response_b")
      ->required();

  // Last, so that a parsed sub-command goes before it.
  line.runners.emplace_back(submit, [&globals, flags] {
    const int usage = RequireProject(*flags);
    if (usage != kExitOk) return usage;
    if (flags->file.empty()) {
      std::cerr << "--file is required (or use `submit ocr`, `submit pairs`)\n";
      return static_cast<int>(kExitUsage);
    }
    return FinishWith(SubmitLines(globals, *flags));
  });
}

}  // namespace fairlead::cli
