// A project's settings as options of the command line: of `project create` and of `submit
// --create`.
#pragma once

#include <string>
#include <vector>

#include "CLI/App.hpp"
#include "absl/status/statusor.h"
#include "fairlead/v1/project_service.pb.h"
#include "scheduler/cli/client.h"

namespace fairlead::cli {

struct ProjectFlags {
  std::string kind;  // ocr | class | pair | ranking | rating | free-text.
  int64_t pay_micros = 10000;
  int64_t budget_micros = 0;
  std::string currency = "USD";
  int min_answers = 1;
  int max_answers = 5;
  double target_confidence = 0.95;
  double adjudicate_below = 0;
  int adjudicate_priority = -1;  // Below 0: none.
  int gold_answers = 0;
  double offer_window_seconds = 60;
  double work_window_seconds = 600;
  bool review = false;
  int parallel_offers = 0;
  bool duplicate_stragglers = false;
  std::vector<std::string> classes;
  std::string alphabet;
  int max_text_length = 64;
  double min_rating = 1;
  double max_rating = 5;
  bool allow_tie = false;
  std::string guidelines;
  bool train = false;
  bool prelabel = false;
  int train_after_labels = 256;
  int check_after_labels = 0;
  bool show_prelabel = false;
  double blind_share = 0;
  double auto_accept_accuracy = 0;
  std::vector<std::string> skills;
  std::string test_skill;  // The project is a test of it; empty: none, and the rest has no effect.
  int questions = 10;
  double pass_mark = 0.8;
  double retake_after_days = 7;
  int takes = 2;
};

// Declares the options on `command`; `flags` must outlive the parse.
void DeclareProjectFlags(CLI::App* command, ProjectFlags& flags, bool with_kind);

// INVALID_ARGUMENT for an unknown kind; everything else is the server's to judge.
absl::StatusOr<v1::ProjectSettings> SettingsFrom(const ProjectFlags& flags);

// Creates the project; the same settings again are OK.
absl::StatusOr<v1::Project> CreateProject(const Client& client, const std::string& project,
                                          const ProjectFlags& flags);

}  // namespace fairlead::cli
