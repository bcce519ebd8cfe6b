// fairlead-trainer: trains and uses OCR and reward models on files, without a scheduler.
// Exit codes: 0 done, 1 failed, 2 wrong input or arguments, 3 stopped by a signal after a
// checkpoint.
#include <CLI/CLI.hpp>
#include <cstdio>

#include "common/base/step_aside.h"
#include "trainer/commands/commands.h"

namespace fairlead::trainer {
namespace {

int ExitCodeOf(const absl::Status& status) {
  if (status.ok()) return 0;
  std::fprintf(stderr, "fairlead-trainer: %s\n", std::string(status.message()).c_str());
  if (absl::IsCancelled(status)) return 3;
  const bool input = absl::IsInvalidArgument(status) || absl::IsNotFound(status);
  return input ? 2 : 1;
}

void AddTrainReward(CLI::App& train, RewardTrainCommand& reward, int& exit_code) {
  CLI::App* two = train.add_subcommand("reward", "Train a reward model from what people preferred");
  two->footer(
      "Lines: {prompt?, chosen, rejected}, {prompt?, responses, ranking | votes} or, for the axis\n"
      "safe, {prompt?, response, safe}. Lines that cannot be used are set aside and counted.\n"
      "A transformer learns word order too; it takes minutes where the linear model takes "
      "seconds.\n"
      "Example: fairlead train reward --data pairs.jsonl.gz --out model");
  two->add_option("--data", reward.files, "JSON lines, plain or .gz; several files")->required();
  two->add_option("--out", reward.model_folder, "Folder for model.safetensors")->required();
  two->add_option("--model", reward.options.model, "auto, linear, ensemble or transformer")
      ->capture_default_str();
  two->add_option("--axis", reward.options.axis, "helpful or safe")->capture_default_str();
  two->add_option("--smoothing", reward.options.smoothing,
                  "Share of judgements that would be turned round if asked again")
      ->capture_default_str();
  two->add_option("--strength", reward.options.strength, "Of the prior; 0 chooses")
      ->capture_default_str();
  two->add_flag("--drop-length", reward.options.drop_length,
                "Learn length as a nuisance that is not served");
  two->add_option("--warm-start", reward.options.warm_start, "Model file to go on from");
  two->add_option("--seed", reward.options.seed, "Of the ensemble's draws and the transformer")
      ->capture_default_str();
  two->add_option("--auto-pairs", reward.options.auto_pairs,
                  "auto tries a transformer from so many judged pairs on, or on a GPU")
      ->capture_default_str();
  two->add_option("--epochs", reward.options.epochs, "A transformer's, at most")
      ->capture_default_str();
  two->add_option("--threads", reward.options.threads, "Of a transformer's training")
      ->capture_default_str();
  two->add_option("--device", reward.options.device, "cpu, cuda or auto, likewise")
      ->capture_default_str();
  two->add_flag("--json", reward.json, "The result as JSON");
  two->callback([&] { exit_code = ExitCodeOf(RunTrainReward(reward)); });
}

void AddUseReward(CLI::App& app, CLI::App& evaluate, ScoreCommand& score, RewardUseCommand& use,
                  int& exit_code) {
  CLI::App* rate = app.add_subcommand("score", "Score responses with a reward model");
  rate->footer(
      "Writes a line for each line: {score_chosen, score_rejected}, {scores}, {score} or {error}.\n"
      "Example: fairlead score --model model --in pairs.jsonl --out scores.jsonl");
  rate->add_option("--model", score.model_folder, "Folder of model.safetensors")->required();
  rate->add_option("--in", score.input, "JSON lines, plain or .gz, judged or not")->required();
  rate->add_option("--out", score.output, "File of JSON lines to write")->required();
  rate->add_option("--explain", score.explain, "Add the N words that count most as \"why\"");
  rate->add_flag("--json", score.json, "The counts as JSON");
  rate->callback([&] { exit_code = ExitCodeOf(RunScore(score)); });
  CLI::App* measure = evaluate.add_subcommand("reward", "Accuracy, likelihood, calibration");
  measure->footer("Example: fairlead evaluate reward --model model --data dev.jsonl.gz --words 20");
  measure->add_option("--model", use.model_folder, "Folder of model.safetensors")->required();
  measure->add_option("--data", use.files, "Judged JSON lines; several files")->required();
  measure->add_option("--words", use.words, "Print the model's N weightiest words");
  measure->add_flag("--json", use.json, "The figures as JSON");
  measure->callback([&] { exit_code = ExitCodeOf(RunEvaluateReward(use)); });
}

void AddTrain(CLI::App& app, OcrTrainCommand& ocr, RewardTrainCommand& reward, int& exit_code) {
  CLI::App* train = app.add_subcommand("train", "Train a model")->require_subcommand(1);
  CLI::App* one = train->add_subcommand("ocr", "Train a reader from labelled images");
  one->footer("Example: fairlead-trainer train ocr --data receipts --out model --threads 2");
  one->add_option("--data", ocr.folder, "Folder with labels.tsv and images or images.tar")
      ->required();
  one->add_option("--out", ocr.model_folder, "Folder for model.safetensors")->required();
  one->add_option("--variant", ocr.options.variant, "full, half, quarter, eighth, tiny or auto")
      ->capture_default_str();
  one->add_option("--head", ocr.options.head, "column, flat, gappos, ctc or auto")
      ->capture_default_str();
  one->add_option("--epochs", ocr.options.epochs, "0 chooses")->capture_default_str();
  one->add_option("--batch", ocr.options.batch, "0 chooses")->capture_default_str();
  one->add_option("--micro-batch", ocr.options.micro_batch, "Images at once; 0 the whole batch")
      ->capture_default_str();
  one->add_option("--height", ocr.options.image_height, "Pixels; 0 by the images")
      ->capture_default_str();
  one->add_option("--width", ocr.options.image_width, "Pixels; 0 by the images")
      ->capture_default_str();
  one->add_option("--seed", ocr.options.seed, "Equal seeds give equal models")
      ->capture_default_str();
  one->add_option("--threads", ocr.options.threads, "Part of the result")->capture_default_str();
  one->add_option("--device", ocr.options.device, "cpu, cuda or auto")->capture_default_str();
  one->add_option("--precision", ocr.options.precision, "float32, bf16 (on a GPU) or auto")
      ->capture_default_str();
  one->add_option("--warm-start", ocr.options.warm_start, "Model file to start from");
  one->add_flag("--resume", ocr.resume, "Take up the last checkpoint in --out");
  one->add_option("--checkpoint-seconds", ocr.options.checkpoint_seconds, "Between checkpoints")
      ->capture_default_str();
  one->add_option("--json", ocr.json, "File for the result as one JSON object");
  one->callback([&] { exit_code = ExitCodeOf(RunTrainOcr(ocr)); });
  AddTrainReward(*train, reward, exit_code);
}

template <typename Command>
void AddModelOptions(CLI::App* app, Command& command) {
  app->add_option("--model", command.model_folder, "Folder of model.safetensors")->required();
  app->add_option("--threads", command.threads, "CPU threads")->capture_default_str();
  app->add_option("--device", command.device, "cpu, cuda or auto")->capture_default_str();
}

void AddPredict(CLI::App& app, OcrPredictCommand& ocr, int& exit_code) {
  CLI::App* predict = app.add_subcommand("predict", "Read images")->require_subcommand(1);
  CLI::App* read = predict->add_subcommand("ocr", "Write file, text and confidence as TSV");
  read->footer("Example: fairlead-trainer predict ocr --model model --images in --out out.tsv");
  AddModelOptions(read, ocr);
  read->add_option("--images", ocr.folder, "Folder of PNG and JPEG files, or with images.tar")
      ->required();
  read->add_option("--out", ocr.output, "TSV file to write, without a header line")->required();
  read->callback([&] { exit_code = ExitCodeOf(RunPredictOcr(ocr)); });
}

void AddCheck(CLI::App& app, OcrCheckCommand& ocr, int& exit_code) {
  CLI::App* check =
      app.add_subcommand("check", "Find labels that are wrong")->require_subcommand(1);
  CLI::App* labels =
      check->add_subcommand("ocr", "Doubtful labels of a folder as TSV, worst first");
  labels->footer(
      "Every image is read by a model that was not trained on it. The first line names the "
      "columns:\n"
      "file, label, read, confidence, odds (ln P(read) - ln P(label)).\n"
      "Example: fairlead check ocr --data receipts --out doubts.tsv --threads 2");
  labels->add_option("--data", ocr.folder, "Folder with labels.tsv")->required();
  labels->add_option("--out", ocr.output, "TSV file to write")->required();
  labels->add_option("--folds", ocr.folds, "More read better and cost more")->capture_default_str();
  labels
      ->add_option("--least-confidence", ocr.least_confidence,
                   "Other readings that are less likely right are left out")
      ->capture_default_str();
  labels->add_option("--least-odds", ocr.least_odds, "Doubts below are left out")
      ->capture_default_str();
  labels->add_option("--variant", ocr.training.variant, "As of train ocr")->capture_default_str();
  labels->add_option("--head", ocr.training.head, "As of train ocr")->capture_default_str();
  labels->add_option("--epochs", ocr.training.epochs, "0 chooses")->capture_default_str();
  labels->add_option("--seed", ocr.training.seed, "Equal seeds give equal doubts")
      ->capture_default_str();
  labels->add_option("--threads", ocr.training.threads, "CPU threads")->capture_default_str();
  labels->add_option("--device", ocr.training.device, "cpu, cuda or auto")->capture_default_str();
  labels->add_flag("--json", ocr.json, "The counts as JSON");
  labels->callback([&] { exit_code = ExitCodeOf(RunCheckOcr(ocr)); });
}

// Evaluation of readers, and all that uses reward models.
void AddEvaluate(CLI::App& app, OcrEvaluateCommand& ocr, ScoreCommand& score,
                 RewardUseCommand& rate, int& exit_code) {
  CLI::App* evaluate = app.add_subcommand("evaluate", "Measure a model")->require_subcommand(1);
  CLI::App* measure = evaluate->add_subcommand("ocr", "Exact match, errors, calibration");
  measure->footer(
      "Example: fairlead-trainer evaluate ocr --model model --data receipts --sheet worst.svg");
  AddModelOptions(measure, ocr);
  measure->add_option("--data", ocr.folder, "Folder with labels.tsv")->required();
  measure->add_option("--split", ocr.split, "train, val, test, all; auto: test, else val, else all")
      ->capture_default_str();
  measure->add_option("--seed", ocr.seed, "The training's, for folders that name no splits")
      ->capture_default_str();
  measure->add_option("--json", ocr.json, "File for the report as one JSON object");
  measure->add_option("--sheet", ocr.sheet, "SVG file for the worst images");
  measure->add_option("--worst", ocr.worst, "Images on the sheet")->capture_default_str();
  measure->callback([&] { exit_code = ExitCodeOf(RunEvaluateOcr(ocr)); });
  AddUseReward(app, *evaluate, score, rate, exit_code);
}

int Main(int argc, char** argv) {
  CLI::App app("Trains and uses OCR and reward models on files");
  app.require_subcommand(1);
  app.add_option_function<int>(
         "--nice",
         [](int niceness) {
           if (const absl::Status status = StepAside(niceness); !status.ok()) {
             throw CLI::ValidationError("--nice", std::string(status.message()));
           }
         },
         "Added to its niceness, as the worker's: who shares the machine goes first")
      ->check(CLI::Range(0, 19))
      ->trigger_on_parse();
  int exit_code = 0;
  OcrTrainCommand ocr;
  RewardTrainCommand reward;
  OcrPredictCommand predict;
  OcrEvaluateCommand evaluate;
  OcrCheckCommand check;
  ScoreCommand score;
  RewardUseCommand rate;
  AddTrain(app, ocr, reward, exit_code);
  AddPredict(app, predict, exit_code);
  AddCheck(app, check, exit_code);
  AddEvaluate(app, evaluate, score, rate, exit_code);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  return exit_code;
}

}  // namespace
}  // namespace fairlead::trainer

int main(int argc, char** argv) { return fairlead::trainer::Main(argc, argv); }
