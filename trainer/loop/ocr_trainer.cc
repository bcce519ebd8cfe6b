#include "trainer/loop/ocr_trainer.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <ctime>
#include <nlohmann/json.hpp>

#include "absl/base/casts.h"
#include "common/base/hash.h"
#include "common/base/log.h"
#include "trainer/checkpoint/checkpoint.h"
#include "trainer/data/text_fit.h"
#include "trainer/loop/evaluate.h"
#include "trainer/optim/schedule.h"

namespace fairlead::trainer {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

constexpr int kCurvePoints = 10;

double SecondsBetween(Clock::time_point from, Clock::time_point to) {
  return std::chrono::duration<double>(to - from).count();
}

TensorBytes Borrow(const std::string& name, const torch::Tensor& values) {
  return {name,
          "F32",
          {values.numel()},
          absl::string_view(reinterpret_cast<const char*>(values.data_ptr<float>()),
                            values.numel() * sizeof(float))};
}

std::string CurveJson(const std::vector<TrainProgress>& curve) {
  Json json = Json::array();
  for (const TrainProgress& p : curve) {
    json.push_back({p.epoch, p.step, p.train_loss, p.validation_exact_match});
  }
  return json.dump();
}

std::vector<TrainProgress> CurveOf(const std::string& text, int epochs) {
  std::vector<TrainProgress> curve;
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_array()) return curve;
  for (const Json& point : json) {
    if (!point.is_array() || point.size() != 4 || !point[0].is_number() || !point[1].is_number() ||
        !point[2].is_number() || !point[3].is_number()) {
      continue;
    }
    TrainProgress progress;
    progress.epoch = point[0].get<int>();
    progress.epochs = epochs;
    progress.step = point[1].get<int64_t>();
    progress.train_loss = point[2].get<double>();
    progress.validation_exact_match = point[3].get<double>();
    curve.push_back(progress);
  }
  return curve;
}

// Grows the alphabet and the longest text by those training texts that the head can hold.
absl::StatusOr<TextFit> FitConfigToTexts(absl::Span<const OcrExample> examples, OcrConfig& config) {
  TextLimit limit{config.head, config.width};
  ASSIGN_OR_RETURN(limit.characters, LongestTextOf(config));
  if (config.head == "ctc") limit.columns = limit.characters;
  ASSIGN_OR_RETURN(TextFit fit, FitTexts(examples, limit));
  std::vector<absl::string_view> texts;
  for (size_t i = 0; i < examples.size(); ++i) {
    if (examples[i].split == Split::kTrain && fit.usable[i]) texts.push_back(examples[i].text);
  }
  ASSIGN_OR_RETURN(config.alphabet, config.alphabet.GrownBy(texts));
  config.positions = std::min(limit.characters, std::max(config.positions, fit.longest));
  return fit;
}

}  // namespace

OcrTrainer::OcrTrainer(const OcrTrainOptions& options)
    : options_(options),
      device_(torch::kCPU),
      started_(Clock::now()),
      reported_(started_),
      saved_(started_) {}

absl::StatusOr<std::unique_ptr<OcrTrainer>> OcrTrainer::Create(
    absl::Span<const OcrExample> examples, const OcrTrainOptions& options) {
  std::unique_ptr<OcrTrainer> trainer(new OcrTrainer(options));
  RETURN_IF_ERROR(trainer->Prepare(examples));
  RETURN_IF_ERROR(trainer->Resume());
  return trainer;
}

absl::Status OcrTrainer::Prepare(absl::Span<const OcrExample> examples) {
  ASSIGN_OR_RETURN(device_, ChooseDevice(options_.device));
  OcrTrainOptions wanted = options_;
  LoadedOcrNet champion;
  std::string warm_digest;
  if (!options_.warm_start.empty()) {
    auto loaded = LoadModel(options_.warm_start);
    if (!loaded.ok()) return Annotate(loaded.status(), "warm_start");
    champion = *std::move(loaded);
    ASSIGN_OR_RETURN(const std::string bytes, ReadWholeFile(options_.warm_start));
    warm_digest = Sha256Hex(bytes);
    config_.alphabet = champion.config.alphabet;
    config_.positions = champion.config.positions;
    if (wanted.variant == "auto") wanted.variant = champion.config.variant;
    if (wanted.head == "auto") wanted.head = champion.config.head;
    if (wanted.image_height == 0) wanted.image_height = champion.config.height;
    if (wanted.image_width == 0) wanted.image_width = champion.config.width;
  }
  ASSIGN_OR_RETURN(PlanFacts facts, FactsOf(examples));
  facts.cuda = device_.is_cuda();
  facts.warm = !options_.warm_start.empty();
  ASSIGN_OR_RETURN(plan_, MakePlan(wanted, facts));
  config_.variant = wanted.variant = plan_.variant;
  config_.head = wanted.head = plan_.head;
  config_.height = wanted.image_height = plan_.image_height;
  config_.width = wanted.image_width = plan_.image_width;
  ASSIGN_OR_RETURN(TextFit fit, FitConfigToTexts(examples, config_));
  facts.train_examples -= static_cast<int64_t>(fit.set_aside.size());
  ASSIGN_OR_RETURN(plan_, MakePlan(wanted, facts));  // Steps and epochs of what is left.
  set_aside_ = std::move(fit.set_aside);
  micro_batch_ =
      options_.micro_batch > 0 ? std::min(options_.micro_batch, plan_.batch) : plan_.batch;
  UseReproducibleKernels(options_.threads);
  ASSIGN_OR_RETURN(net_, MakeOcrNet(config_));
  InitialiseParameters(*net_, options_.seed);
  if (!champion.net.is_empty()) {
    warm_ = CopyMatchingParameters(*champion.net, *net_);
    FAIRLEAD_LOG(INFO) << "warm start taken=" << warm_.taken << " left=" << warm_.left;
  }
  ASSIGN_OR_RETURN(set_, BuildDataset(examples, fit.usable, config_.alphabet, config_.positions,
                                      config_.height, config_.width));
  for (torch::Tensor* tensor : {&set_.images, &set_.targets, &set_.lengths, &set_.weights}) {
    *tensor = tensor->to(device_);
  }
  parameters_ = std::make_unique<FlatParameters>(*net_, device_);
  optimiser_ = std::make_unique<AdamW>(*parameters_, AdamWOptions{});
  augmenter_ = std::make_unique<Augmenter>(AugmentOptions{}, options_.seed, config_.height,
                                           config_.width, device_);
  data_digest_ = DigestOfExamples(examples);
  run_digest_ = Sha256Hex(
      absl::StrCat(data_digest_, "|", config_.ToJson(), "|", plan_.epochs, "|", plan_.batch, "|",
                   absl::Hex(absl::bit_cast<uint64_t>(plan_.peak_learning_rate)), "|",
                   plan_.dropout, "|", plan_.smoothing, "|", options_.micro_batch, "|",
                   options_.seed, "|", options_.threads, "|", device_.is_cuda() ? "cuda" : "cpu",
                   "|", plan_.bf16 ? "bf16|" : "", warm_digest, "|", FAIRLEAD_VERSION));
  return absl::OkStatus();
}

absl::Status OcrTrainer::Resume() {
  if (options_.checkpoint_directory.empty()) return absl::OkStatus();
  const auto stored = ReadNewestCheckpoint(options_.checkpoint_directory, run_digest_);
  if (!stored.has_value()) return absl::OkStatus();
  torch::NoGradGuard no_grad;
  const int64_t step = stored->checkpoint.step;
  const int64_t micro_batch = stored->checkpoint.micro_batch;
  if (step < 0 || step > plan_.total_steps() || micro_batch < 1 || micro_batch > plan_.batch) {
    return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT",
                 "checkpoint's step or micro-batch is absurd");
  }
  micro_batch_ = static_cast<int>(micro_batch);
  const std::pair<const char*, torch::Tensor> parts[] = {
      {"weights", parameters_->weights()},
      {"first_moment", optimiser_->first_moment()},
      {"second_moment", optimiser_->second_moment()},
      {"averaged", optimiser_->averaged()}};
  for (const auto& [name, tensor] : parts) {
    const TensorBytes* bytes = stored->file.Find(name);
    if (bytes == nullptr || bytes->dtype != "F32" ||
        static_cast<int64_t>(bytes->bytes.size()) != tensor.numel() * int64_t{sizeof(float)}) {
      return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT",
                   absl::StrCat("checkpoint's ", name, " has the wrong size"));
    }
    torch::Tensor values = torch::empty({tensor.numel()}, torch::kFloat32);
    std::memcpy(values.data_ptr<float>(), bytes->bytes.data(), bytes->bytes.size());
    torch::Tensor(tensor).copy_(values);
  }
  step_ = first_step_ = step;
  curve_ = CurveOf(stored->checkpoint.curve_json, plan_.epochs);
  FAIRLEAD_LOG(INFO) << "training resumed step=" << step_ << " of=" << plan_.total_steps();
  return absl::OkStatus();
}

TensorMetadata OcrTrainer::RunMetadata() const {
  return {{"code_version", FAIRLEAD_VERSION},
          {"config", config_.ToJson()},
          {"data_digest", data_digest_},
          {"device", device_.is_cuda() ? "cuda" : "cpu"},
          {"precision", plan_.bf16 ? "bf16" : "float32"},
          {"epochs", absl::StrCat(plan_.epochs)},
          {"batch", absl::StrCat(plan_.batch)},
          {"seed", absl::StrCat(options_.seed)},
          {"threads", absl::StrCat(options_.threads)},
          {"world_size", "1"}};
}

absl::Status OcrTrainer::FinishWriting() {
  return writing_.valid() ? writing_.get() : absl::OkStatus();
}

absl::Status OcrTrainer::SaveCheckpoint() {
  if (options_.checkpoint_directory.empty()) return absl::OkStatus();
  const auto begin = Clock::now();
  RETURN_IF_ERROR(FinishWriting());
  saved_ = Clock::now();
  std::vector<torch::Tensor> kept;
  for (const torch::Tensor& tensor : {parameters_->weights(), optimiser_->first_moment(),
                                      optimiser_->second_moment(), optimiser_->averaged()}) {
    kept.push_back(tensor.detach().to(torch::kCPU, torch::kFloat32, /*non_blocking=*/false,
                                      /*copy=*/true));
  }
  Checkpoint checkpoint{run_digest_,       step_,        step_ / plan_.steps_per_epoch,
                        CurveJson(curve_), micro_batch_, RunMetadata()};
  // The step waits for the copy only; hashing, writing and syncing go on beside it.
  writing_ =
      std::async(std::launch::async, [directory = options_.checkpoint_directory,
                                      checkpoint = std::move(checkpoint), kept = std::move(kept)] {
        const std::vector<TensorBytes> tensors = {
            Borrow("weights", kept[0]), Borrow("first_moment", kept[1]),
            Borrow("second_moment", kept[2]), Borrow("averaged", kept[3])};
        return WriteCheckpoint(directory, checkpoint, tensors);
      });
  stalled_ = std::max(stalled_, SecondsBetween(begin, Clock::now()));
  return absl::OkStatus();
}

absl::Status OcrTrainer::ObeyCommand() {
  const Command command = options_.command ? options_.command() : Command::kContinue;
  if (command == Command::kAbort) {
    return Error(absl::StatusCode::kAborted, "LEASE_LOST",
                 absl::StrCat("training aborted at step ", step_));
  }
  if (command == Command::kCheckpointAndStop) {
    RETURN_IF_ERROR(SaveCheckpoint());
    RETURN_IF_ERROR(FinishWriting());
    return absl::CancelledError(absl::StrCat("training stopped at step ", step_));
  }
  const double since = SecondsBetween(saved_, Clock::now());
  return since >= options_.checkpoint_seconds ? SaveCheckpoint() : absl::OkStatus();
}

absl::Status OcrTrainer::Run() {
  started_ = reported_ = saved_ = Clock::now();
  const std::clock_t cpu_start = std::clock();
  while (step_ < plan_.total_steps()) {
    RETURN_IF_ERROR(ObeyCommand());
    RETURN_IF_ERROR(TrainStep());
    if (step_ % plan_.steps_per_epoch == 0) {
      FinishEpoch();
    } else if (SecondsBetween(reported_, Clock::now()) >= 1) {
      Report(/*epoch_ended=*/false, -1);
    }
  }
  cpu_seconds_ = static_cast<double>(std::clock() - cpu_start) / CLOCKS_PER_SEC;
  return FinishWriting();
}

absl::Status OcrTrainer::TrainStep() {
  const int64_t epoch = step_ / plan_.steps_per_epoch;
  if (order_epoch_ != epoch) {
    order_ = ShuffledRows(set_.train, options_.seed, static_cast<uint32_t>(epoch));
    order_epoch_ = epoch;
  }
  const int64_t start = step_ % plan_.steps_per_epoch * plan_.batch;
  const absl::Span<const int64_t> rows = absl::MakeConstSpan(order_).subspan(start, plan_.batch);
  double loss = 0;
  for (;;) {
    try {
      loss = AddGradients(rows, static_cast<uint32_t>(epoch));
      break;
    } catch (const std::exception& failure) {
      if (!IsOutOfMemory(failure) || micro_batch_ == 1) throw;
      micro_batch_ = (micro_batch_ + 1) / 2;
      parameters_->gradients().zero_();
      FAIRLEAD_LOG(WARNING) << "out of memory: smaller parts from here on step=" << step_
                            << " micro_batch=" << micro_batch_;
    }
  }
  if (!std::isfinite(loss)) {
    return Error(absl::StatusCode::kInternal, "TRAINING_DIVERGED",
                 absl::StrCat("the loss of step ", step_,
                              " is not finite; try a lower "
                              "peak_learning_rate or look for a damaged image"));
  }
  const auto before = Clock::now();
  const OneCycle cycle{.peak = plan_.peak_learning_rate, .total_steps = plan_.total_steps()};
  const StepReport report =
      optimiser_->Step(step_, LearningRateAt(cycle, step_), EmaDecayAt(step_, plan_.total_steps()));
  phases_.optimiser += SecondsBetween(before, Clock::now());
  sums_.loss += loss;
  sums_.gradient_norm += report.gradient_norm;
  sums_.clipped_share += report.clipped_share;
  ++sums_.steps;
  ++step_;
  return absl::OkStatus();
}

torch::Tensor OcrTrainer::LogitsInTraining(const torch::Tensor& images,
                                           absl::Span<const int64_t> rows, uint32_t epoch) {
  const Bfloat16Scope precision(plan_.bf16);
  const torch::Tensor features =
      DropFeatures(net_->Features(images), plan_.dropout, options_.seed, epoch, rows);
  return net_->Read(features).to(torch::kFloat32);
}

double OcrTrainer::AddGradients(absl::Span<const int64_t> rows, uint32_t epoch) {
  // A champion needs no help with where the characters are.
  const double progress = options_.warm_start.empty() ? static_cast<double>(step_) /
                                                            static_cast<double>(plan_.total_steps())
                                                      : 1.0;
  const LossTerms terms{plan_.smoothing, progress};
  double sum = 0;
  for (size_t from = 0; from < rows.size(); from += micro_batch_) {
    const absl::Span<const int64_t> part = rows.subspan(from, micro_batch_);
    const auto begin = Clock::now();
    const torch::Tensor index =
        torch::tensor(std::vector<int64_t>(part.begin(), part.end()), torch::kInt64).to(device_);
    const torch::Tensor images =
        NormaliseImages(augmenter_->Apply(set_.images.index_select(0, index), part, epoch));
    const auto loaded = Clock::now();
    const torch::Tensor logits = LogitsInTraining(images, part, epoch);
    const torch::Tensor losses = net_->head().Losses(logits, set_.targets.index_select(0, index),
                                                     set_.lengths.index_select(0, index), terms);
    const torch::Tensor loss =
        (losses * set_.weights.index_select(0, index)).sum() / static_cast<double>(rows.size());
    const auto forward = Clock::now();
    loss.backward();
    sum += loss.item<double>();
    phases_.data += SecondsBetween(begin, loaded);
    phases_.forward += SecondsBetween(loaded, forward);
    phases_.backward += SecondsBetween(forward, Clock::now());
  }
  return sum;
}

void OcrTrainer::FinishEpoch() {
  const int64_t epoch = step_ / plan_.steps_per_epoch;
  const int64_t every = std::max(1, plan_.epochs / kCurvePoints);
  const bool measured = epoch % every == 0 || epoch == plan_.epochs;
  if (measured) Report(/*epoch_ended=*/true, ExactMatchOfAverage());
  sums_ = {};
}

double OcrTrainer::ExactMatchOfAverage() {
  if (set_.validation.empty()) return -1;
  torch::NoGradGuard no_grad;
  const torch::Tensor live = parameters_->weights().clone();
  parameters_->weights().copy_(optimiser_->averaged());
  const LogitsTable table = ComputeLogits(*net_, config_, set_.images, set_.validation);
  parameters_->weights().copy_(live);
  int64_t right = 0;
  for (size_t i = 0; i < set_.validation.size(); ++i) {
    right += ReadImage(table, i, config_.alphabet, 1.0).text == set_.texts[set_.validation[i]];
  }
  return static_cast<double>(right) / static_cast<double>(set_.validation.size());
}

double OcrTrainer::SecondsSinceStart() const { return SecondsBetween(started_, Clock::now()); }

void OcrTrainer::Report(bool epoch_ended, double exact_match) {
  reported_ = Clock::now();
  const double seconds = std::max(1e-6, SecondsSinceStart());
  const double steps = static_cast<double>(step_ - first_step_);
  TrainProgress progress;
  progress.epoch = static_cast<int>(step_ / plan_.steps_per_epoch);
  progress.epochs = plan_.epochs;
  progress.step = step_;
  progress.images_per_second = steps * plan_.batch / seconds;
  const double summed = static_cast<double>(std::max<int64_t>(1, sums_.steps));
  progress.train_loss = sums_.loss / summed;
  progress.gradient_norm = sums_.gradient_norm / summed;
  progress.clipped_share = sums_.clipped_share / summed;
  progress.validation_exact_match = exact_match;
  progress.seconds_left = static_cast<double>(plan_.total_steps() - step_) * seconds / steps;
  if (epoch_ended) curve_.push_back(progress);
  if (options_.on_progress) options_.on_progress(progress);
}

absl::StatusOr<OcrTrainResult> OcrTrainer::Finish(const std::string& output_path) {
  torch::NoGradGuard no_grad;
  const double seconds = SecondsSinceStart();
  parameters_->weights().copy_(optimiser_->averaged());
  if (!parameters_->weights().isfinite().all().item<bool>()) {
    return Error(absl::StatusCode::kInternal, "TRAINING_DIVERGED", "the weights are not finite");
  }
  const auto texts_of = [&](const std::vector<int64_t>& rows) {
    std::vector<std::string> texts;
    for (const int64_t row : rows) texts.push_back(set_.texts[row]);
    return texts;
  };
  OcrTrainResult result;
  const LogitsTable table = ComputeLogits(*net_, config_, set_.images, set_.validation);
  const std::vector<std::string> truths = texts_of(set_.validation);
  const Calibration calibration = FitTemperature(table, truths, config_.alphabet);
  config_.temperature = calibration.temperature;
  config_.calibration = calibration.target;
  result.validation = MeasureReadings(table, truths, config_.alphabet, config_.temperature);
  if (!set_.test.empty()) {
    result.test = MeasureReadings(ComputeLogits(*net_, config_, set_.images, set_.test),
                                  texts_of(set_.test), config_.alphabet, config_.temperature);
  }
  TensorMetadata metadata = RunMetadata();
  metadata["step"] = absl::StrCat(step_);
  metadata["epoch"] = absl::StrCat(plan_.epochs);
  metadata["micro_batch"] = absl::StrCat(micro_batch_);
  metadata["run_digest"] = run_digest_;
  RETURN_IF_ERROR(WriteFileAtomically(output_path, EncodeModel(*net_, config_, metadata)));
  result.model_path = output_path;
  result.reader = ServeNet({config_, net_}, device_, options_.threads);
  result.curve = curve_;
  result.variant = config_.variant;
  result.head = config_.head;
  result.set_aside = set_aside_;
  const double shown = static_cast<double>((step_ - first_step_) * plan_.batch);
  result.metrics = {{"seconds", seconds},
                    {"images_per_second", shown / std::max(1e-6, seconds)},
                    {"parameters", static_cast<double>(parameters_->count())},
                    {"steps", static_cast<double>(step_)},
                    {"epochs", static_cast<double>(plan_.epochs)},
                    {"train.count", static_cast<double>(set_.train.size())},
                    {"train.set_aside", static_cast<double>(set_aside_.size())},
                    {"temperature", config_.temperature},
                    {"batch", static_cast<double>(plan_.batch)},
                    {"cpu_seconds", cpu_seconds_},
                    {"micro_batch", static_cast<double>(micro_batch_)},
                    {"seconds.data", phases_.data},
                    {"seconds.forward", phases_.forward},
                    {"seconds.backward", phases_.backward},
                    {"seconds.optimiser", phases_.optimiser},
                    {"seconds.checkpoint_stall", stalled_},
                    {"warm.parameters_taken", static_cast<double>(warm_.taken)}};
  if (!curve_.empty()) {
    result.metrics["train.loss"] = curve_.back().train_loss;
    result.metrics["train.gradient_norm"] = curve_.back().gradient_norm;
    result.metrics["train.clipped_share"] = curve_.back().clipped_share;
  }
  const auto add = [&](const std::string& name, const OcrMetrics& m) {
    result.metrics[name + ".count"] = static_cast<double>(m.count);
    result.metrics[name + ".exact_match"] = m.exact_match;
    result.metrics[name + ".character_error_rate"] = m.character_error_rate;
    result.metrics[name + ".negative_log_likelihood"] = m.negative_log_likelihood;
    result.metrics[name + ".calibration_error"] = m.calibration_error;
  };
  add("validation", result.validation);
  if (result.test.has_value()) add("test", *result.test);
  return result;
}

}  // namespace fairlead::trainer
