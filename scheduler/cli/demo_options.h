// What the demo runs on: options, tasks with their truth, and the figures that one pass yields.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "scheduler/cli/submitter.h"
#include "scheduler/cli/truth.h"

namespace fairlead::cli {

struct DemoOptions {
  std::string work_dir = ".fairlead-demo";  // Both clusters' data, the plot; emptied at the start.
  std::string images;     // A folder with images (or images.tar) and labels.tsv; empty: drawn.
  std::string json_file;  // Where the JSON object goes besides standard output.
  uint64_t seed = 1;
  bool quick = false;  // A fifth of everything, for a look; its figures bind nothing.

  std::string difficulty = "easy";
  int ocr_tasks = 2000;
  int ocr_gold = 300;
  int pairs = 200;
  int pair_gold = 30;
  int held_out_pairs = 1000;  // For reward_pair_accuracy.
  int waves = 8;
  int contractors = 50;
  double accuracy = 0.88;
  double accuracy_sd = 0.08;
  absl::Duration pace = absl::Milliseconds(220);
  int train_after_labels = 110;  // OCR labels that start a round; half a wave.
  int train_after_pairs = 60;
  double target_confidence = 0.97;
  absl::Duration budget = absl::Seconds(290);   // Both passes.
  absl::Duration wave_cap = absl::Seconds(45);  // A wave waits this long for a training round.
  std::string binary_dir;                       // Empty: beside this binary.
};

// The options that --quick stands for.
DemoOptions QuickDemo(DemoOptions options);

struct DemoTasks {
  std::vector<NewTask> ocr;        // In order of submission, without answers.
  std::vector<std::string> texts;  // The truth of ocr[i].
  std::vector<NewTask> pairs;
  std::vector<NewTask> gold_ocr;  // With answers.
  std::vector<NewTask> gold_pairs;
  // For the reward model: JSON lines {"prompt", "chosen", "rejected"}.
  std::string held_out;
  Truth truth;        // Of everything above but held_out.
  int set_aside = 0;  // Images that could not be used.
};

// Draws or reads the tasks; the same for the same options. Fewer than asked for when the folder has
// fewer images. Errors as of the generators and of labels.tsv.
absl::StatusOr<DemoTasks> LoadDemoTasks(const DemoOptions& options);

// How one OCR task ended, as the client saw it.
struct DemoItem {
  bool completed = false;
  bool right = false;  // The label equals the truth.
  int answers = 0;     // Human answers it rests on.
  bool used_prelabel = false;
};

struct DemoPass {
  bool models = false;
  int64_t submitted = 0;  // OCR tasks and pairs, gold left out.
  int64_t completed = 0;
  int64_t contradicted = 0;  // Tasks whose end changed; a fault.
  int64_t annotations = 0;   // Receipts, gold included.
  int64_t paid_micros = 0;
  int64_t pairs_right = 0;
  std::vector<DemoItem> items;  // By order of submission.
  std::vector<double>
      exact_match_by_version;  // OCR champions, first to last, on the frozen test set.
  int64_t versions_refused = 0;
  // Seconds from an OCR label's arrival at the client to the gate's decision about the first
  // version that was trained or judged with it.
  std::vector<double> decision_seconds;
  double reward_pair_accuracy = 0;
  int64_t reward_pairs = 0;  // Held-out pairs it was measured on.
  absl::Duration seconds;
};

// Mean answers over the completed items of fifth `fifth` (0–4) by order of submission; 0 when none.
double AnswersOfFifth(const std::vector<DemoItem>& items, int fifth);
// Share of the completed items whose label is right; 0 when none.
double LabelAccuracy(const std::vector<DemoItem>& items);

}  // namespace fairlead::cli
