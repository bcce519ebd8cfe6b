#include "trainer/loop/evaluate.h"

#include "trainer/data/dataset.h"

namespace fairlead::trainer {

LogitsTable ComputeLogits(OcrNetImpl& net, const OcrConfig& config, const torch::Tensor& images,
                          const std::vector<int64_t>& rows) {
  constexpr int64_t kBatch = 64;
  torch::NoGradGuard no_grad;
  LogitsTable table;
  table.ctc = config.head == "ctc";
  const int64_t count = static_cast<int64_t>(rows.size());
  const torch::Tensor index = torch::tensor(rows, torch::kInt64).to(images.device());
  for (int64_t start = 0; start < count; start += kBatch) {
    const torch::Tensor part = index.narrow(0, start, std::min(kBatch, count - start));
    const torch::Tensor logits = net.forward(NormaliseImages(images.index_select(0, part)))
                                     .to(torch::kCPU, torch::kFloat32)
                                     .contiguous();
    table.positions = static_cast<int>(logits.size(1));
    table.classes = static_cast<int>(logits.size(2));
    const float* values = logits.data_ptr<float>();
    table.values.insert(table.values.end(), values, values + logits.numel());
  }
  return table;
}

}  // namespace fairlead::trainer
