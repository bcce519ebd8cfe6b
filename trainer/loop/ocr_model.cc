// OcrModel (train.h): a trained reader with folded convolutions.
#include <utility>

#include "trainer/data/dataset.h"
#include "trainer/loop/evaluate.h"
#include "trainer/nn/ocr_net.h"
#include "trainer/train.h"

namespace fairlead::trainer {
namespace {

class TorchOcrModel : public OcrModel {
 public:
  TorchOcrModel(LoadedOcrNet loaded, torch::Device device, int threads)
      : config_(std::move(loaded.config)),
        net_(std::move(loaded.net)),
        device_(device),
        threads_(threads) {
    net_->to(device_);
    net_->Fold();
  }

  absl::StatusOr<std::vector<OcrPrediction>> Predict(absl::Span<const GrayImage> images) override {
    return CatchTorch([&]() -> absl::StatusOr<std::vector<OcrPrediction>> {
      ASSIGN_OR_RETURN(const LogitsTable table, Compute(images));
      std::vector<OcrPrediction> predictions;
      for (size_t i = 0; i < images.size(); ++i) {
        predictions.push_back(ReadImage(table, i, config_.alphabet, config_.temperature));
      }
      return predictions;
    });
  }

  absl::StatusOr<OcrMetrics> Evaluate(absl::Span<const OcrExample> examples) override {
    return CatchTorch([&]() -> absl::StatusOr<OcrMetrics> {
      std::vector<GrayImage> images;
      std::vector<std::string> texts;
      for (const OcrExample& example : examples) {
        images.push_back(example.image);
        texts.push_back(example.text);
      }
      ASSIGN_OR_RETURN(const LogitsTable table, Compute(images));
      return MeasureReadings(table, texts, config_.alphabet, config_.temperature);
    });
  }

  absl::StatusOr<std::vector<OcrJudgement>> Judge(absl::Span<const OcrExample> examples) override {
    return CatchTorch([&]() -> absl::StatusOr<std::vector<OcrJudgement>> {
      std::vector<GrayImage> images;
      for (const OcrExample& example : examples) images.push_back(example.image);
      ASSIGN_OR_RETURN(const LogitsTable table, Compute(images));
      std::vector<OcrJudgement> judgements;
      for (size_t i = 0; i < examples.size(); ++i) {
        const OcrPrediction reading = ReadImage(table, i, config_.alphabet, config_.temperature);
        judgements.push_back({reading.text == examples[i].text,
                              TextNegativeLogLikelihood(table, i, examples[i].text,
                                                        config_.alphabet, config_.temperature),
                              reading.confidence});
      }
      return judgements;
    });
  }

 private:
  absl::StatusOr<LogitsTable> Compute(absl::Span<const GrayImage> images) {
    if (images.empty()) return LogitsTable();
    UseReproducibleKernels(threads_);
    ASSIGN_OR_RETURN(const torch::Tensor stack, StackImages(images, config_.height, config_.width));
    std::vector<int64_t> rows(images.size());
    for (size_t i = 0; i < rows.size(); ++i) rows[i] = static_cast<int64_t>(i);
    return ComputeLogits(*net_, config_, stack.to(device_), rows);
  }

  const OcrConfig config_;
  OcrNet net_;
  const torch::Device device_;
  const int threads_;
};

}  // namespace

std::unique_ptr<OcrModel> ServeNet(LoadedOcrNet loaded, torch::Device device, int threads) {
  return std::make_unique<TorchOcrModel>(std::move(loaded), device, threads);
}

absl::StatusOr<OcrInputSize> InputSizeOf(const std::string& model_path) {
  return CatchTorch([&]() -> absl::StatusOr<OcrInputSize> {
    ASSIGN_OR_RETURN(const LoadedOcrNet loaded, LoadModel(model_path));
    return OcrInputSize{loaded.config.height, loaded.config.width};
  });
}

absl::StatusOr<std::unique_ptr<OcrModel>> OcrModel::Load(const std::string& path,
                                                         const std::string& device, int threads) {
  return CatchTorch([&]() -> absl::StatusOr<std::unique_ptr<OcrModel>> {
    if (threads < 1 || threads > 1024) return FieldError("threads", "must be 1 to 1024");
    ASSIGN_OR_RETURN(const torch::Device chosen, ChooseDevice(device));
    ASSIGN_OR_RETURN(LoadedOcrNet loaded, LoadModel(path));
    return ServeNet(std::move(loaded), chosen, threads);
  });
}

}  // namespace fairlead::trainer
