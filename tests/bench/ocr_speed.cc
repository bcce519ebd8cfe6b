#include "tests/bench/ocr_speed.h"

#include <algorithm>
#include <cstdio>
#include <functional>
#include <memory>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/philox.h"
#include "tests/bench/processes.h"
#include "trainer/train.h"

namespace fairlead::bench {
namespace {

using trainer::OcrExample;
using trainer::OcrTrainOptions;
using trainer::Split;

// Noise with six digits each; 64 for training, one to validate.
std::vector<OcrExample> NoiseExamples(int height, int width) {
  std::vector<OcrExample> examples;
  PhiloxStream stream(7, 0, 0, 0);
  for (int i = 0; i < 65; ++i) {
    OcrExample example;
    example.id = absl::StrCat(i);
    example.split = i < 64 ? Split::kTrain : Split::kValidation;
    example.image = {width, height, std::vector<uint8_t>(static_cast<size_t>(width) * height)};
    for (uint8_t& pixel : example.image.pixels) pixel = static_cast<uint8_t>(stream.Below(256));
    for (int c = 0; c < 6; ++c) example.text += static_cast<char>('0' + stream.Below(10));
    examples.push_back(std::move(example));
  }
  return examples;
}

OcrTrainOptions OptionsFor(const std::string& variant, int height, int width, int threads) {
  OcrTrainOptions options;
  options.variant = variant;
  options.head = "column";
  options.image_height = height;
  options.image_width = width;
  options.batch = 32;
  options.epochs = 1;
  options.threads = threads;
  options.device = "cpu";
  return options;
}

struct Shape {
  const char* variant;
  int height, width;
  int epochs;             // Of 64 images, for one round of training.
  const char* seconds;    // CPU-seconds of one round in Python.
  double train_mark;      // Least ratio; 0: none.
  double infer_marks[2];  // At B = 1 and B = 32.
};

double TrainingRate(const Shape& shape, int threads) {
  OcrTrainOptions options = OptionsFor(shape.variant, shape.height, shape.width, threads);
  options.epochs = shape.epochs;
  const TemporaryFolder folder;
  const auto result = TrainOcr(NoiseExamples(shape.height, shape.width), options,
                               folder.path() + "/model.safetensors");
  if (!result.ok()) return 0;
  return result->metrics.at("steps") * options.batch / result->metrics.at("cpu_seconds");
}

// Images a CPU-second of a model in use, `batch` at a time.
double ReadingRate(trainer::OcrModel& model, const Shape& shape, int batch) {
  std::vector<GrayImage> images;
  for (OcrExample& example : NoiseExamples(shape.height, shape.width)) {
    images.push_back(std::move(example.image));
  }
  images.resize(batch);
  double seconds = 0;
  if (!absl::SimpleAtod(shape.seconds, &seconds) || !model.Predict(images).ok()) return 0;
  const double start = CpuSeconds();
  int count = 0;
  while (CpuSeconds() - start < seconds) {
    if (!model.Predict(images).ok()) return 0;
    count += batch;
  }
  return count / (CpuSeconds() - start);
}

// Alternates three times; the best of each side.
void Compare(const std::string& name, const std::vector<std::string>& python, double wanted,
             const std::function<double()>& own_rate, Marks& marks) {
  double theirs = 0, ours = 0;
  for (int round = 0; round < 3; ++round) {
    double rate = 0;
    if (absl::SimpleAtod(RunProgram(python).output, &rate)) theirs = std::max(theirs, rate);
    ours = std::max(ours, own_rate());
  }
  marks.Figure(name, "python", theirs, "images/CPU-s");
  marks.Figure(name, "own", ours, "images/CPU-s");
  const double ratio = theirs > 0 ? ours / theirs : 0;
  if (wanted > 0) {
    marks.Check(name, "ratio", ratio, "times", absl::StrFormat("≥ %.2f", wanted), ratio >= wanted);
  } else {
    marks.Figure(name, "ratio", ratio, "times");
  }
}

}  // namespace

void CompareWithPython(int threads, bool full, Marks& marks) {
  const std::string python = PythonWith("torch");
  if (python.empty()) {
    std::printf("python: skipped, no python3 with torch (Debian: python3-torch)\n");
    return;
  }
  std::vector<Shape> shapes = {{"eighth", 32, 128, 30, "5", 1.15, {0, 0}}};
  if (full) shapes.push_back({"full", 64, 192, 2, "15", 1.0, {1.5, 1.0}});
  for (const Shape& shape : shapes) {
    const auto words = [&](int batch, const char* mode) -> std::vector<std::string> {
      return {python,
              FAIRLEAD_SOURCE_FOLDER "/tests/bench/ocr_reference.py",
              shape.variant,
              absl::StrCat(shape.height),
              absl::StrCat(shape.width),
              absl::StrCat(batch),
              absl::StrCat(threads),
              shape.seconds,
              mode};
    };
    const std::string name =
        absl::StrFormat("%s 1x%dx%d", shape.variant, shape.height, shape.width);
    Compare(
        name + " train B=32", words(32, "train"), shape.train_mark,
        [&] { return TrainingRate(shape, threads); }, marks);
    const TemporaryFolder folder;
    const std::string path = folder.path() + "/model.safetensors";
    if (!TrainOcr(NoiseExamples(shape.height, shape.width),
                  OptionsFor(shape.variant, shape.height, shape.width, threads), path)
             .ok()) {
      continue;
    }
    const auto model = trainer::OcrModel::Load(path, "cpu", threads);
    if (!model.ok()) continue;
    const int batches[] = {1, 32};
    for (int i = 0; i < 2; ++i) {
      Compare(
          absl::StrCat(name, " infer B=", batches[i]), words(batches[i], "infer"),
          shape.infer_marks[i], [&] { return ReadingRate(**model, shape, batches[i]); }, marks);
    }
  }
}

void MeasureFullNet(int threads, Marks& marks) {
  constexpr int kHeight = 32, kWidth = 128;
  OcrTrainOptions options = OptionsFor("full", kHeight, kWidth, threads);
  options.batch = 4;
  options.epochs = 14;
  options.peak_learning_rate = 1e-3;
  const TemporaryFolder folder;
  options.checkpoint_directory = folder.path() + "/checkpoints";
  options.checkpoint_seconds = 5;
  const auto result =
      TrainOcr(NoiseExamples(kHeight, kWidth), options, folder.path() + "/model.safetensors");
  if (!result.ok()) {
    std::printf("full net: %s\n", std::string(result.status().message()).c_str());
    return;
  }
  const std::string name = absl::StrFormat("full 1x%dx%d train B=4", kHeight, kWidth);
  const double first = result->curve.front().train_loss, last = result->curve.back().train_loss;
  marks.Figure(name, "steps", result->metrics.at("steps"), "");
  marks.Figure(name, "loss of the first epoch", first, "");
  marks.Check(name, "loss of the last epoch", last, "", "less than the first", last < first);
  const double stall = result->metrics.at("seconds.checkpoint_stall");
  marks.Check(name, "longest checkpoint stall", stall, "s", "≤ 2", stall <= 2);
}

}  // namespace fairlead::bench
