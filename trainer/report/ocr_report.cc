#include "trainer/report/ocr_report.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"
#include "common/plot/svg_plot.h"
#include "trainer/data/labels.h"

namespace fairlead::trainer {
namespace {

constexpr int kBins = 10;

using Points = std::vector<std::string>;

// Edit distance of `read` to `truth`; marks which positions of the truth it costs.
int64_t MarkErrors(const Points& truth, const Points& read,
                   std::vector<PositionErrors>& positions) {
  const size_t rows = truth.size() + 1, columns = read.size() + 1;
  std::vector<int64_t> cost(rows * columns);
  for (size_t i = 0; i < rows; ++i) {
    for (size_t j = 0; j < columns; ++j) {
      int64_t& here = cost[i * columns + j];
      if (i == 0 || j == 0) {
        here = static_cast<int64_t>(i + j);
        continue;
      }
      const int64_t replaced = cost[(i - 1) * columns + j - 1] + (truth[i - 1] != read[j - 1]);
      here = std::min({replaced, cost[(i - 1) * columns + j] + 1, cost[i * columns + j - 1] + 1});
    }
  }
  if (positions.size() < truth.size()) positions.resize(truth.size());
  for (size_t i = 0; i < truth.size(); ++i) ++positions[i].count;
  size_t i = truth.size(), j = read.size();
  while (i > 0) {
    const int64_t here = cost[i * columns + j];
    if (j > 0 && here == cost[(i - 1) * columns + j - 1] + (truth[i - 1] != read[j - 1])) {
      positions[i - 1].wrong += truth[i - 1] != read[j - 1];
      --i, --j;
    } else if (here == cost[(i - 1) * columns + j] + 1) {
      ++positions[i - 1].wrong;
      --i;
    } else {
      --j;
    }
  }
  return cost.back();
}

void AddToBin(std::vector<CalibrationBin>& bins, double confidence, bool exact) {
  CalibrationBin& bin = bins[std::clamp(static_cast<int>(confidence * kBins), 0, kBins - 1)];
  ++bin.count;
  bin.confidence += confidence;
  bin.exact += exact ? 1 : 0;
}

std::string Escaped(const std::string& text) {
  return absl::StrReplaceAll(text,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

}  // namespace

double UpperErrorBound(int64_t errors, int64_t count) {
  if (count <= 0 || errors >= count) return 1;
  // log P(at most `errors` of `count` | p), summed from the largest term down.
  const auto tail = [&](double p) {
    double sum = 0;
    const double n = static_cast<double>(count);
    for (int64_t k = errors; k >= 0; --k) {
      const double x = static_cast<double>(k);
      sum += std::exp(std::lgamma(n + 1) - std::lgamma(x + 1) - std::lgamma(n - x + 1) +
                      x * std::log(p) + (n - x) * std::log1p(-p));
    }
    return sum;
  };
  double low = static_cast<double>(errors) / static_cast<double>(count), high = 1;
  if (low == 0) low = 1e-12;
  for (int i = 0; i < 60; ++i) {
    const double middle = (low + high) / 2;
    (tail(middle) > 0.05 ? low : high) = middle;
  }
  return high;
}

OcrReport MakeReport(absl::Span<const OcrExample> examples,
                     absl::Span<const OcrPrediction> predictions) {
  OcrReport report;
  report.count = static_cast<int64_t>(examples.size());
  report.bins.resize(kBins);
  int64_t edits = 0, characters = 0;
  std::vector<bool> exact;
  for (size_t i = 0; i < examples.size(); ++i) {
    exact.push_back(predictions[i].text == examples[i].text);
    report.errors += exact[i] ? 0 : 1;
    AddToBin(report.bins, predictions[i].confidence, exact[i]);
    report.worst.push_back(static_cast<int64_t>(i));
    const auto truth = SplitCodePoints(examples[i].text);
    const auto read = SplitCodePoints(predictions[i].text);
    if (!truth.ok() || !read.ok()) continue;
    edits += MarkErrors(*truth, *read, report.positions);
    characters += static_cast<int64_t>(truth->size());
  }
  std::stable_sort(report.worst.begin(), report.worst.end(), [&](int64_t a, int64_t b) {
    if (exact[a] != exact[b]) return static_cast<bool>(exact[b]);
    const double left = predictions[a].confidence, right = predictions[b].confidence;
    return exact[a] ? left < right : left > right;
  });
  const double count = static_cast<double>(std::max<int64_t>(1, report.count));
  for (CalibrationBin& bin : report.bins) {
    report.calibration_error += std::abs(bin.confidence - bin.exact) / count;
    const double inside = static_cast<double>(std::max<int64_t>(1, bin.count));
    bin.confidence /= inside;
    bin.exact /= inside;
  }
  report.error_bound = UpperErrorBound(report.errors, report.count);
  report.exact_match = static_cast<double>(report.count - report.errors) / count;
  report.character_error_rate =
      static_cast<double>(edits) / static_cast<double>(std::max<int64_t>(1, characters));
  return report;
}

std::string ReportText(const OcrReport& report) {
  std::string text = absl::StrFormat(
      "exact match           %.2f %%\n"
      "errors                %d of %d; the error rate is below %.2f %% at 95 %%\n"
      "character error rate  %.2f %%\n"
      "calibration error     %.3f\n",
      100 * report.exact_match, report.errors, report.count, 100 * report.error_bound,
      100 * report.character_error_rate, report.calibration_error);
  absl::StrAppend(&text, "position   characters   wrong\n");
  for (size_t i = 0; i < report.positions.size(); ++i) {
    const PositionErrors& at = report.positions[i];
    const double share = static_cast<double>(at.wrong) / static_cast<double>(at.count);
    absl::StrAppendFormat(&text, "%8d   %10d   %5.2f %%\n", i + 1, at.count, 100 * share);
  }
  absl::StrAppend(&text, "confidence    texts   exact\n");
  for (const CalibrationBin& bin : report.bins) {
    if (bin.count == 0) continue;
    absl::StrAppendFormat(&text, "  %8.3f   %6d   %5.3f\n", bin.confidence, bin.count, bin.exact);
  }
  return text;
}

std::string ReportJson(const OcrReport& report) {
  nlohmann::json positions = nlohmann::json::array(), bins = nlohmann::json::array();
  for (const PositionErrors& at : report.positions) {
    positions.push_back({{"count", at.count}, {"wrong", at.wrong}});
  }
  for (const CalibrationBin& bin : report.bins) {
    bins.push_back({{"count", bin.count}, {"confidence", bin.confidence}, {"exact", bin.exact}});
  }
  return nlohmann::json{{"count", report.count},
                        {"errors", report.errors},
                        {"error_bound_95", report.error_bound},
                        {"exact_match", report.exact_match},
                        {"character_error_rate", report.character_error_rate},
                        {"calibration_error", report.calibration_error},
                        {"positions", positions},
                        {"bins", bins}}
      .dump();
}

absl::StatusOr<std::string> WorstSheet(const OcrReport& report,
                                       absl::Span<const OcrExample> examples,
                                       absl::Span<const OcrPrediction> predictions, int limit) {
  constexpr int kColumns = 4, kCellWidth = 240, kCellHeight = 96, kImageHeight = 44;
  const int count = static_cast<int>(std::min<size_t>(report.worst.size(), std::max(0, limit)));
  const int rows = (count + kColumns - 1) / kColumns;
  std::string svg = absl::StrFormat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
      "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" "
      "fill=\"#ffffff\"/>\n",
      kColumns * kCellWidth, std::max(1, rows) * kCellHeight);
  for (int k = 0; k < count; ++k) {
    const int64_t i = report.worst[k];
    const int x = k % kColumns * kCellWidth + 8, y = k / kColumns * kCellHeight + 8;
    ASSIGN_OR_RETURN(const std::string png, EncodePng(examples[i].image));
    const bool exact = predictions[i].text == examples[i].text;
    absl::StrAppendFormat(
        &svg,
        "<image x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" preserveAspectRatio=\"xMinYMid\" "
        "href=\"data:image/png;base64,%s\"><title>%s</title></image>\n"
        "<text x=\"%d\" y=\"%d\">truth %s</text>\n"
        "<text x=\"%d\" y=\"%d\" fill=\"%s\">read %s (%.3f)</text>\n",
        x, y, kCellWidth - 16, kImageHeight, absl::Base64Escape(png), Escaped(examples[i].id), x,
        y + kImageHeight + 16, Escaped(examples[i].text), x, y + kImageHeight + 32,
        exact ? "#31724f" : "#b3261e", Escaped(predictions[i].text), predictions[i].confidence);
  }
  return svg + "</svg>\n";
}

absl::StatusOr<std::string> LearningCurve(absl::Span<const TrainProgress> curve) {
  PlotPanel loss{"Training loss", "epoch", "loss", {{"loss", PlotMark::kLine, {}}}};
  PlotPanel exact{"Exact match on the validation split",
                  "epoch",
                  "texts read exactly, %",
                  {{"exact match", PlotMark::kLine, {}}}};
  for (const TrainProgress& point : curve) {
    if (std::isfinite(point.train_loss)) {
      loss.series[0].points.emplace_back(point.epoch, point.train_loss);
    }
    if (point.validation_exact_match >= 0) {
      exact.series[0].points.emplace_back(point.epoch, 100 * point.validation_exact_match);
    }
  }
  return RenderSvg({loss, exact});
}

}  // namespace fairlead::trainer
