// fairlead-bench-gpu: the full network on a GPU, checked against the CPU, then measured beside
// Python: images a second of training and reading, kernels a step, the GPU's busy share. Started by
// `./dev bench gpu`, which builds it against a libtorch with CUDA. `--device cpu` runs the same on
// the CPU, with figures that mean nothing, to see that it runs.
#include <torch/csrc/autograd/profiler_kineto.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/bench/marks.h"
#include "tests/bench/processes.h"
#include "trainer/nn/ocr_net.h"
#include "trainer/optim/adamw.h"
#include "trainer/train.h"

namespace fairlead::bench {
namespace {

using trainer::AdamW;
using trainer::Bfloat16Scope;
using trainer::FlatParameters;
using trainer::OcrConfig;
using trainer::OcrNet;

constexpr int kPositions = 6;

struct Settings {
  std::string device = "cuda";
  std::string variant = "full";
  std::string python;
  std::string json;
  std::vector<int> batches = {32, 256, 512};
  int height = 64, width = 192;
  double seconds = 4;     // Of each measurement.
  int run_images = 4000;  // Of the whole training; 0 leaves it out.

  bool gpu() const { return device == "cuda"; }
};

double Now() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// One net with its optimiser and a batch of noise, on a device.
class Trainee {
 public:
  Trainee(const Settings& settings, const std::string& device, int batch, bool channels_last,
          bool bf16)
      : device_(device == "cuda" ? torch::kCUDA : torch::kCPU), bf16_(bf16) {
    OcrConfig config;
    config.variant = settings.variant;
    config.head = "column";
    config.positions = kPositions;
    config.height = settings.height;
    config.width = settings.width;
    std::vector<std::string> digits;
    for (char c = '0'; c <= '9'; ++c) digits.emplace_back(1, c);
    config.alphabet = *trainer::Alphabet::FromSymbols(digits);
    net_ = *MakeOcrNet(config);
    trainer::InitialiseParameters(*net_, 1);
    parameters_ = std::make_unique<FlatParameters>(*net_, device_);
    optimiser_ = std::make_unique<AdamW>(*parameters_, trainer::AdamWOptions{});
    const int64_t pixels = int64_t{batch} * settings.height * settings.width;
    const torch::Tensor noise = torch::sin(torch::arange(pixels, torch::kFloat64).square())
                                    .to(torch::kFloat32)
                                    .view({batch, 1, settings.height, settings.width});
    images_ = noise.to(device_);
    if (channels_last) {  // Written out: for one channel torch holds both layouts to be the same.
      const auto last = images_.options().memory_format(torch::MemoryFormat::ChannelsLast);
      images_ = torch::empty(images_.sizes(), last).copy_(images_);
    }
    targets_ = (torch::arange(int64_t{batch} * kPositions, torch::kInt64) % 10 + 1)
                   .view({batch, kPositions})
                   .to(device_);
    lengths_ = torch::full({batch}, kPositions, targets_.options());
  }

  torch::Tensor Logits() {
    const Bfloat16Scope precision(bf16_);
    return net_->forward(images_).to(torch::kFloat32);
  }
  torch::Tensor AddGradients() {
    const torch::Tensor loss = net_->head().Losses(Logits(), targets_, lengths_, {}).mean();
    loss.backward();
    return loss;
  }
  void Step() {
    AddGradients();
    optimiser_->Step(step_++, 1e-3, 0.99);
  }
  void Read() {
    torch::NoGradGuard no_grad;
    Logits();
  }
  void Fold() { net_->Fold(); }
  torch::Tensor Gradients() const { return parameters_->gradients().cpu(); }

 private:
  const torch::Device device_;
  const bool bf16_;
  OcrNet net_{nullptr};
  std::unique_ptr<FlatParameters> parameters_;
  std::unique_ptr<AdamW> optimiser_;
  torch::Tensor images_, targets_, lengths_;
  int64_t step_ = 0;
};

void Wait(const Settings& settings) {
  if (settings.gpu()) torch::cuda::synchronize();
}

// Calls of `step` a second, after ten to warm up.
double Rate(const Settings& settings, const std::function<void()>& step) {
  const int warm = settings.gpu() ? 10 : 1;
  for (int i = 0; i < warm; ++i) step();
  Wait(settings);
  const double start = Now();
  int64_t count = 0;
  while (Now() - start < settings.seconds) {
    for (int i = 0; i < warm; ++i) step();
    Wait(settings);
    count += warm;
  }
  return static_cast<double>(count) / (Now() - start);
}

double Apart(const torch::Tensor& value, const torch::Tensor& truth) {
  return ((value - truth).norm() / truth.norm()).item<double>();
}

// The device's numbers against the CPU's.
void CheckAgainstCpu(const Settings& settings, Marks& marks) {
  constexpr int kBatch = 8;
  at::globalContext().setAllowTF32CuDNN(false);
  at::globalContext().setAllowTF32CuBLAS(false);
  const auto run = [&](const std::string& device, bool channels_last, bool bf16) {
    Trainee one(settings, device, kBatch, channels_last, bf16);
    one.Step();  // From zero the last gain of every branch; now the branches count.
    const torch::Tensor logits = one.Logits().detach().cpu();
    one.AddGradients();
    return std::make_pair(logits, one.Gradients());
  };
  const auto truth = run("cpu", false, false);
  const struct {
    const char* name;
    bool channels_last, bf16;
    double logits, gradients;
  } kCases[] = {{"float32 channels first", false, false, 1e-3, 1e-2},
                {"float32 channels last", true, false, 1e-3, 1e-2},
                {"bf16 channels first", false, true, 5e-2, 2e-1}};
  for (const auto& one : kCases) {
    const auto [logits, gradients] =
        run(settings.device, one.channels_last, one.bf16 && settings.gpu());
    const std::string name = absl::StrCat(one.name, " against CPU");
    const double first = Apart(logits, truth.first), second = Apart(gradients, truth.second);
    marks.Check(name, "logits", first, "relative", absl::StrFormat("≤ %g", one.logits),
                first <= one.logits);
    marks.Check(name, "gradients", second, "relative", absl::StrFormat("≤ %g", one.gradients),
                second <= one.gradients);
  }
  at::globalContext().setAllowTF32CuDNN(true);
  at::globalContext().setAllowTF32CuBLAS(true);
}

template <typename Event>
double MicrosecondsOf(const Event& event) {
  if constexpr (requires { event.durationNs(); }) {
    return static_cast<double>(event.durationNs()) / 1e3;
  } else {
    return static_cast<double>(event.durationUs());
  }
}

// Kernels a step and the share of the time in which one runs.
void Profile(const Settings& settings, const std::string& name, Trainee& one, Marks& marks) {
  namespace profiler = torch::autograd::profiler;
  namespace impl = torch::profiler::impl;
  constexpr int kSteps = 5;
  const std::set<impl::ActivityType> activities = {impl::ActivityType::CUDA};
  const impl::ProfilerConfig config(impl::ProfilerState::KINETO);
  profiler::prepareProfiler(config, activities);
  profiler::enableProfiler(config, activities);
  const double start = Now();
  for (int i = 0; i < kSteps; ++i) one.Step();
  Wait(settings);
  const double wall = Now() - start;
  double busy = 0;
  int64_t kernels = 0;
  for (const auto& event : profiler::disableProfiler()->events()) {
    if (event.deviceType() != c10::DeviceType::CUDA) continue;
    busy += MicrosecondsOf(event) / 1e6;
    ++kernels;
  }
  marks.Figure(name, "kernels and copies", static_cast<double>(kernels) / kSteps, "a step");
  marks.Figure(name, "GPU busy", busy / wall, "share");
}

// Images a second of Python; 0 when it does not run.
double PythonRate(const Settings& settings, int batch, const std::string& mode,
                  const std::string& layout) {
  if (settings.python.empty()) return 0;
  double rate = 0;
  const Finished run = RunProgram(
      {settings.python, "-B", FAIRLEAD_SOURCE_FOLDER "/tests/bench/gpu_reference.py",
       settings.variant, absl::StrCat(settings.height), absl::StrCat(settings.width),
       absl::StrCat(batch), absl::StrCat(settings.seconds), mode, layout, settings.device});
  return absl::SimpleAtod(run.output, &rate) ? rate : 0;
}

// One batch size: both layouts, training and reading, own and Python's one after the other.
void MeasureBatch(const Settings& settings, int batch, Marks& marks) {
  double own = 0, eager = 0, compiled = 0;
  const std::string name =
      absl::StrFormat("%s 1x%dx%d B=%d", settings.variant, settings.height, settings.width, batch);
  for (const bool last : {false, true}) {
    const std::string layout = last ? "channels_last" : "nchw";
    Trainee one(settings, settings.device, batch, last, settings.gpu());
    const double train = batch * Rate(settings, [&] { one.Step(); });
    own = std::max(own, train);
    marks.Figure(name, absl::StrCat("own train ", layout), train, "images/s");
    if (settings.gpu()) Profile(settings, absl::StrCat(name, " ", layout), one, marks);
    one.Fold();
    marks.Figure(name, absl::StrCat("own infer ", layout),
                 batch * Rate(settings, [&] { one.Read(); }), "images/s");
    const double python = PythonRate(settings, batch, "eager", layout);
    eager = std::max(eager, python);
    marks.Figure(name, absl::StrCat("python eager AMP train ", layout), python, "images/s");
    const double fused = PythonRate(settings, batch, "compile", layout);
    compiled = std::max(compiled, fused);
    marks.Figure(name, absl::StrCat("python torch.compile train ", layout), fused, "images/s");
  }
  // The best layout of each side.
  if (compiled > 0) marks.Figure(name, "to torch.compile", own / compiled, "times");
  if (eager <= 0) return;
  const double wanted = batch <= 32 ? 1.5 : batch >= 512 ? 1.1 : 0;
  if (wanted > 0 && settings.gpu()) {
    marks.Check(name, "to eager AMP", own / eager, "times", absl::StrFormat("≥ %.1f", wanted),
                own / eager >= wanted);
  } else {
    marks.Figure(name, "to eager AMP", own / eager, "times");
  }
}

// Thirty epochs as a user trains, augmentation and measurement included.
void MeasureRun(const Settings& settings, Marks& marks) {
  constexpr int kEpochs = 30;
  std::vector<trainer::OcrExample> examples;
  for (int i = 0; i < settings.run_images + 1; ++i) {
    trainer::OcrExample example;
    example.id = absl::StrCat(i);
    example.split = i < settings.run_images ? trainer::Split::kTrain : trainer::Split::kValidation;
    example.image = {settings.width, settings.height,
                     std::vector<uint8_t>(static_cast<size_t>(settings.width) * settings.height)};
    for (size_t p = 0; p < example.image.pixels.size(); ++p) {
      example.image.pixels[p] = static_cast<uint8_t>((p * (i + 7)) % 251);
    }
    example.text = absl::StrFormat("%06d", (i * 7919) % 1000000);
    examples.push_back(std::move(example));
  }
  trainer::OcrTrainOptions options;
  options.variant = settings.variant;
  options.head = "column";
  options.image_height = settings.height;
  options.image_width = settings.width;
  options.batch = std::min(128, settings.run_images);
  options.epochs = kEpochs;
  options.device = settings.device;
  const TemporaryFolder folder;
  const auto result = TrainOcr(examples, options, folder.path() + "/model.safetensors");
  if (!result.ok()) {
    std::printf("the whole training: %s\n", std::string(result.status().message()).c_str());
    return;
  }
  const double seconds = result->metrics.at("seconds");
  const std::string name =
      absl::StrCat(settings.variant, " ", settings.run_images, " images × ", kEpochs, " epochs");
  for (const char* phase : {"data", "forward", "backward", "optimiser"}) {
    marks.Figure(name, phase, result->metrics.at(absl::StrCat("seconds.", phase)), "s");
  }
  marks.Check(name, "training", seconds, "s", "≤ 60", seconds <= 60);
}

int RunAll(const Settings& settings) {
  Marks marks("gpu");
  trainer::UseReproducibleKernels(1);  // As every training does.
  CheckAgainstCpu(settings, marks);
  for (const int batch : settings.batches) MeasureBatch(settings, batch, marks);
  if (settings.run_images > 0) MeasureRun(settings, marks);
  const bool met = marks.Print();
  const absl::Status written =
      settings.json.empty() ? absl::OkStatus() : marks.WriteJson(settings.json);
  if (!written.ok()) std::fprintf(stderr, "%s\n", std::string(written.message()).c_str());
  return !written.ok() ? 2 : met ? 0 : 1;
}

int Main(int argc, char** argv) {
  Settings settings;
  CLI::App app("The reader's network on a GPU: checked against the CPU, measured beside Python");
  app.footer(
      "Example: fairlead-bench-gpu --python python3 --json gpu.jsonl\n"
      "Exit codes: 0 marks met, 1 a mark missed, 2 failed or wrong arguments, 3 no CUDA device.");
  app.add_option("--device", settings.device, "cuda, or cpu to see that it runs")
      ->check(CLI::IsMember({"cuda", "cpu"}))
      ->capture_default_str();
  app.add_option("--variant", settings.variant, "Of the network")->capture_default_str();
  app.add_option("--height", settings.height, "Of the images")->capture_default_str();
  app.add_option("--width", settings.width, "Of the images")->capture_default_str();
  app.add_option("--batch", settings.batches, "Repeatable")->capture_default_str();
  app.add_option("--seconds", settings.seconds, "Of each measurement")->capture_default_str();
  app.add_option("--run-images", settings.run_images, "Of the whole training; 0 leaves it out")
      ->capture_default_str();
  app.add_option("--python", settings.python, "A Python with torch; without: no comparison");
  app.add_option("--json", settings.json, "File for one JSON object a line");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : 2;
  }
  if (settings.gpu() && !torch::cuda::is_available()) {
    std::fprintf(stderr, "not run: this libtorch (%s) sees no CUDA device\n", TORCH_VERSION);
    return 3;
  }
  try {
    return RunAll(settings);
  } catch (const std::exception& failure) {
    std::fprintf(stderr, "%s\n", failure.what());
    return 2;
  }
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
