#include "scheduler/cli/demo_options.h"

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/image/image.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/generate_ocr.h"
#include "scheduler/cli/generate_pairs.h"
#include "scheduler/cli/image_set.h"
#include "scheduler/cli/labels.h"

namespace fairlead::cli {
namespace {

constexpr size_t kMaxInlineBytes = 256 << 10;

// Puts item `index` of the set where it belongs: the first `ocr_gold` are gold.
void AddOcr(const DemoOptions& options, size_t index, std::string name, std::string group,
            std::string bytes, const std::string& text, DemoTasks& tasks) {
  NewTask task;
  task.task.set_external_id(std::move(name));
  task.task.set_group(std::move(group));
  tasks.truth.AddImage(bytes, text);
  task.task.mutable_payload()->mutable_image_text()->set_image(std::move(bytes));
  if (index < static_cast<size_t>(options.ocr_gold)) {
    task.answer.emplace().set_text(text);
    tasks.gold_ocr.push_back(std::move(task));
    return;
  }
  tasks.ocr.push_back(std::move(task));
  tasks.texts.push_back(text);
}

absl::Status DrawOcr(const DemoOptions& options, DemoTasks& tasks) {
  OcrGeneratorOptions generator;
  generator.difficulty = options.difficulty;
  generator.seed = options.seed;
  const size_t count =
      static_cast<size_t>(options.ocr_gold) + static_cast<size_t>(options.ocr_tasks);
  for (size_t i = 0; i < count; ++i) {
    ASSIGN_OR_RETURN(const GeneratedImage drawn,
                     GenerateOcrImage(generator, static_cast<int64_t>(i)));
    ASSIGN_OR_RETURN(std::string png, EncodePng(drawn.image));
    AddOcr(options, i, absl::StrCat("drawn-", i), "", std::move(png), drawn.text, tasks);
  }
  return absl::OkStatus();
}

// "train/001_021.jpg" → "train/001": crops of one receipt share it.
std::string GroupOf(const std::string& name) {
  const size_t end = name.rfind('_');
  return end == std::string::npos ? name : name.substr(0, end);
}

absl::Status ReadOcr(const DemoOptions& options, DemoTasks& tasks) {
  ASSIGN_OR_RETURN(std::vector<LabelLine> labels, ReadLabels(options.images + "/labels.tsv"));
  std::mt19937_64 gen(options.seed);
  std::shuffle(labels.begin(), labels.end(), gen);
  // Some to spare for images that cannot be used.
  const size_t wanted =
      static_cast<size_t>(options.ocr_gold) + static_cast<size_t>(options.ocr_tasks);
  labels.resize(std::min(labels.size(), wanted + wanted / 20));
  std::map<std::string, size_t> order;
  for (size_t i = 0; i < labels.size(); ++i) order[labels[i].file] = i;
  std::vector<std::string> images(labels.size());
  RETURN_IF_ERROR(VisitImages(
      options.images, [&](const std::string& name, std::string bytes, const absl::Status& error) {
        const auto place = order.find(name);
        if (place == order.end()) return absl::OkStatus();
        const bool usable = error.ok() && bytes.size() <= kMaxInlineBytes && CheckImage(bytes).ok();
        if (usable) images[place->second] = std::move(bytes);
        if (!usable) ++tasks.set_aside;
        return absl::OkStatus();
      }));
  size_t index = 0;
  for (size_t i = 0; i < labels.size() && index < wanted; ++i) {
    if (images[i].empty()) continue;
    AddOcr(options, index++, labels[i].file, GroupOf(labels[i].file), std::move(images[i]),
           labels[i].text, tasks);
  }
  if (tasks.ocr.empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat(options.images, ": fewer usable images than the ", options.ocr_gold, " gold"));
  }
  return absl::OkStatus();
}

void DrawPairs(const DemoOptions& options, DemoTasks& tasks) {
  const int count = options.pair_gold + options.pairs;
  for (int i = 0; i < count; ++i) {
    const GeneratedPair drawn = GeneratePair(options.seed, i);
    NewTask task;
    task.task.set_external_id(absl::StrCat("pair-", i));
    auto* pair = task.task.mutable_payload()->mutable_pair();
    pair->set_prompt(drawn.prompt);
    pair->set_response_a(drawn.response_a);
    pair->set_response_b(drawn.response_b);
    v1::Answer answer;
    answer.set_preferred(drawn.a_better ? v1::Answer::SIDE_A : v1::Answer::SIDE_B);
    tasks.truth.Add(task.task.payload(), answer);
    if (i < options.pair_gold) {
      task.answer = answer;
      tasks.gold_pairs.push_back(std::move(task));
    } else {
      tasks.pairs.push_back(std::move(task));
    }
  }
  // Behind those that are submitted: nothing of them was ever seen by a model.
  for (int i = 0; i < options.held_out_pairs; ++i) {
    const GeneratedPair drawn = GeneratePair(options.seed, count + i);
    const nlohmann::json line = {
        {"prompt", drawn.prompt},
        {"chosen", drawn.a_better ? drawn.response_a : drawn.response_b},
        {"rejected", drawn.a_better ? drawn.response_b : drawn.response_a}};
    absl::StrAppend(&tasks.held_out, line.dump(), "\n");
  }
}

}  // namespace

DemoOptions QuickDemo(DemoOptions options) {
  options.quick = true;
  options.ocr_tasks /= 5;
  options.ocr_gold /= 3;
  options.pairs /= 5;
  options.pair_gold /= 3;
  options.contractors = std::min(options.contractors, 20);
  options.train_after_labels /= 5;
  options.train_after_pairs /= 5;
  return options;
}

absl::StatusOr<DemoTasks> LoadDemoTasks(const DemoOptions& options) {
  DemoTasks tasks;
  if (options.images.empty()) {
    RETURN_IF_ERROR(DrawOcr(options, tasks));
  } else {
    RETURN_IF_ERROR(ReadOcr(options, tasks));
  }
  DrawPairs(options, tasks);
  return tasks;
}

double AnswersOfFifth(const std::vector<DemoItem>& items, int fifth) {
  int64_t answers = 0;
  int64_t count = 0;
  for (size_t i = 0; i < items.size(); ++i) {
    if (static_cast<int>(i * 5 / items.size()) != fifth || !items[i].completed) continue;
    answers += items[i].answers;
    ++count;
  }
  return count == 0 ? 0 : static_cast<double>(answers) / static_cast<double>(count);
}

double LabelAccuracy(const std::vector<DemoItem>& items) {
  int64_t right = 0;
  int64_t count = 0;
  for (const DemoItem& item : items) {
    count += item.completed ? 1 : 0;
    right += item.completed && item.right ? 1 : 0;
  }
  return count == 0 ? 0 : static_cast<double>(right) / static_cast<double>(count);
}

}  // namespace fairlead::cli
