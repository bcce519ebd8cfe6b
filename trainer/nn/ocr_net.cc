#include "trainer/nn/ocr_net.h"

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>
#include <vector>

#include "absl/strings/match.h"

namespace fairlead::trainer {
namespace {

using Json = nlohmann::json;

constexpr char kFormat[] = "fairlead.ocr.v1";
constexpr int kMaxSide = 2048;
constexpr int kMaxSymbols = 8192;

absl::Status BadConfig(absl::string_view problem) {
  return Error(absl::StatusCode::kDataLoss, "MODEL_FILE_CORRUPT",
               absl::StrCat("config: ", problem));
}

absl::StatusOr<int> IntOf(const Json& json, const char* key, int low, int high) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_number_integer()) {
    return BadConfig(absl::StrCat(key, " is missing"));
  }
  const int64_t value = found->get<int64_t>();
  if (value < low || value > high) {
    return BadConfig(absl::StrCat(key, " is outside ", low, "–", high));
  }
  return static_cast<int>(value);
}

absl::StatusOr<std::string> TextOf(const Json& json, const char* key) {
  const auto found = json.find(key);
  if (found == json.end() || !found->is_string()) {
    return BadConfig(absl::StrCat(key, " is missing"));
  }
  return found->get<std::string>();
}

// The feature map's side for an image's side: every stride rounds up.
int MapSide(const NfnetConfig& config, int image_side, size_t axis) {
  int64_t side = image_side;
  for (const auto& stride : config.stem_strides) side = (side + stride[axis] - 1) / stride[axis];
  for (const auto& stride : config.strides) side = (side + stride[axis] - 1) / stride[axis];
  return static_cast<int>(side);
}

// Copies `from` into the block of `to` at the end of dimension 0 when `trailing` (text positions
// count from the right) and at the start of the others.
bool CopyBlock(const torch::Tensor& from, torch::Tensor to, bool trailing, bool inputs_last) {
  if (from.dim() != to.dim()) return false;
  // A reader of other features is of no use.
  if (inputs_last && from.size(-1) != to.size(-1)) return false;
  for (int64_t d = 0; d < from.dim(); ++d) {
    if (from.size(d) > to.size(d)) return false;
    const int64_t start = d == 0 && trailing ? to.size(d) - from.size(d) : 0;
    to = to.narrow(d, start, from.size(d));
  }
  to.copy_(from);
  return true;
}

}  // namespace

std::string OcrConfig::ToJson() const {
  return Json{{"variant", variant},
              {"head", head},
              {"positions", positions},
              {"height", height},
              {"width", width},
              {"alphabet", alphabet.symbols()},
              {"normalisation", "per_image"},
              {"temperature", temperature},
              {"calibration", calibration}}
      .dump();
}

absl::StatusOr<OcrConfig> OcrConfig::FromJson(const std::string& text) {
  const Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) return BadConfig("not a JSON object");
  OcrConfig config;
  ASSIGN_OR_RETURN(config.variant, TextOf(json, "variant"));
  ASSIGN_OR_RETURN(config.head, TextOf(json, "head"));
  ASSIGN_OR_RETURN(config.calibration, TextOf(json, "calibration"));
  ASSIGN_OR_RETURN(const std::string normalisation, TextOf(json, "normalisation"));
  if (normalisation != "per_image") return BadConfig("normalisation is unknown");
  ASSIGN_OR_RETURN(config.positions, IntOf(json, "positions", 1, kLongestText));
  ASSIGN_OR_RETURN(config.height, IntOf(json, "height", 8, kMaxSide));
  ASSIGN_OR_RETURN(config.width, IntOf(json, "width", 8, kMaxSide));
  const auto temperature = json.find("temperature");
  if (temperature == json.end() || !temperature->is_number()) {
    return BadConfig("temperature is missing");
  }
  config.temperature = temperature->get<double>();
  if (!(config.temperature >= 0.01 && config.temperature <= 100)) {
    return BadConfig("temperature is outside 0.01–100");
  }
  const auto symbols = json.find("alphabet");
  if (symbols == json.end() || !symbols->is_array() || symbols->size() > kMaxSymbols) {
    return BadConfig("alphabet is missing or too large");
  }
  std::vector<std::string> list;
  for (const Json& symbol : *symbols) {
    if (!symbol.is_string()) return BadConfig("a symbol is not a string");
    list.push_back(symbol.get<std::string>());
  }
  auto alphabet = Alphabet::FromSymbols(std::move(list));
  if (!alphabet.ok()) return BadConfig(alphabet.status().message());
  config.alphabet = *std::move(alphabet);
  return config;
}

OcrNetImpl::OcrNetImpl(const NfnetConfig& backbone, std::shared_ptr<ReadHead> head)
    : backbone_(register_module("backbone", Nfnet(backbone))),
      head_(register_module("head", std::move(head))) {}

torch::Tensor OcrNetImpl::Features(const torch::Tensor& images) {
  return backbone_->forward(images);
}

torch::Tensor OcrNetImpl::Read(const torch::Tensor& features) { return head_->forward(features); }

absl::StatusOr<int> LongestTextOf(const OcrConfig& config) {
  ASSIGN_OR_RETURN(NfnetConfig backbone, ConfigOfVariant(config.variant, config.height));
  if (config.head != "ctc") return kLongestText;
  KeepColumns(backbone);
  return std::min(kLongestText, MapSide(backbone, config.width, 1));
}

absl::StatusOr<OcrNet> MakeOcrNet(const OcrConfig& config) {
  if (config.height < 8 || config.height > kMaxSide || config.width < 8 ||
      config.width > kMaxSide) {
    return FieldError("image_height, image_width", absl::StrCat("must be 8–", kMaxSide));
  }
  if (config.positions < 1 || config.positions > kLongestText) {
    return FieldError("text",
                      absl::StrCat("the longest must have 1–", kLongestText, " characters"));
  }
  ASSIGN_OR_RETURN(NfnetConfig backbone, ConfigOfVariant(config.variant, config.height));
  if (config.head == "ctc") KeepColumns(backbone);
  HeadConfig head;
  head.kind = config.head;
  head.positions = config.positions;
  head.classes = config.alphabet.classes();
  head.in_channels = backbone.final_channels;
  head.in_height = MapSide(backbone, config.height, 0);
  head.in_width = MapSide(backbone, config.width, 1);
  ASSIGN_OR_RETURN(std::shared_ptr<ReadHead> made, MakeHead(head));
  return OcrNet(backbone, std::move(made));
}

std::string EncodeModel(OcrNetImpl& net, const OcrConfig& config, TensorMetadata metadata) {
  torch::NoGradGuard no_grad;
  metadata["format"] = kFormat;
  metadata["config"] = config.ToJson();
  std::vector<torch::Tensor> kept;  // Keeps the bytes alive while they are borrowed.
  std::vector<TensorBytes> tensors;
  for (const auto& item : net.named_parameters()) {
    kept.push_back(item.value().detach().to(torch::kCPU, torch::kFloat32).contiguous());
    TensorBytes tensor;
    tensor.name = item.key();
    tensor.shape = kept.back().sizes().vec();
    tensor.bytes = absl::string_view(reinterpret_cast<const char*>(kept.back().data_ptr<float>()),
                                     kept.back().numel() * sizeof(float));
    tensors.push_back(std::move(tensor));
  }
  return EncodeTensorFile(tensors, std::move(metadata));
}

absl::StatusOr<LoadedOcrNet> LoadModel(const std::string& path) {
  ASSIGN_OR_RETURN(const TensorFile file, TensorFile::Read(path));
  const auto format = file.metadata().find("format");
  if (format == file.metadata().end() || format->second != kFormat) {
    return FieldError("model", absl::StrCat(path, " is not a ", kFormat, " file"));
  }
  ASSIGN_OR_RETURN(const std::string config_text, file.Metadata("config"));
  LoadedOcrNet loaded;
  ASSIGN_OR_RETURN(loaded.config, OcrConfig::FromJson(config_text));
  ASSIGN_OR_RETURN(loaded.net, MakeOcrNet(loaded.config));
  torch::NoGradGuard no_grad;
  const auto parameters = loaded.net->named_parameters();
  if (parameters.size() != file.tensors().size()) return BadConfig("number of tensors differs");
  for (const auto& item : parameters) {
    const TensorBytes* stored = file.Find(item.key());
    torch::Tensor value = item.value();
    if (stored == nullptr || stored->dtype != "F32" || stored->shape != value.sizes().vec()) {
      return BadConfig(absl::StrCat("tensor ", item.key(), " is missing or misshapen"));
    }
    std::memcpy(value.data_ptr<float>(), stored->bytes.data(), stored->bytes.size());
    if (!value.isfinite().all().item<bool>()) {
      return BadConfig(absl::StrCat("tensor ", item.key(), " is not finite"));
    }
  }
  return loaded;
}

WarmStart CopyMatchingParameters(OcrNetImpl& from, OcrNetImpl& to) {
  torch::NoGradGuard no_grad;
  WarmStart result;
  const auto sources = from.named_parameters();
  const bool positional = typeid(from.head()) == typeid(to.head());
  for (const auto& item : to.named_parameters()) {
    const torch::Tensor* const source = sources.find(item.key());
    const bool head = absl::StartsWith(item.key(), "head.");
    const bool fits =
        source != nullptr && (head ? positional : source->sizes() == item.value().sizes());
    // A CTC head's dimension 0 is the classes, the others' the positions.
    const bool trailing = head && to.head().CountsPositions();
    const bool inputs_last = absl::EndsWith(item.key(), "weight");
    if (fits && CopyBlock(*source, item.value(), trailing, inputs_last)) {
      ++result.taken;
    } else {
      ++result.left;
    }
  }
  return result;
}

}  // namespace fairlead::trainer
