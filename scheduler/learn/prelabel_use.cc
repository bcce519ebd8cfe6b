#include "scheduler/learn/prelabel_use.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"

namespace fairlead::learn {
namespace {

using store::v1::AnnotationRecord;

constexpr double kBlindShare = 0.1;
constexpr double kAuditShare = 0.1;
constexpr double kLevel = 0.05;
constexpr size_t kStep = 10;

// Uniform in [0, 1), another one for each purpose.
double LotOf(absl::string_view purpose, absl::string_view task) {
  return static_cast<double>(StableHash64(absl::StrCat(purpose, " ", task)) >> 11) * 0x1.0p-53;
}

// P(at most `wrong` errors in n readings | error rate): what the bound is read from.
double AtMost(size_t wrong, size_t n, double rate) {
  double sum = 0;
  double log_term = static_cast<double>(n) * std::log1p(-rate);
  for (size_t k = 0; k <= wrong; ++k) {
    sum += std::exp(log_term);
    log_term += std::log(static_cast<double>(n - k) / static_cast<double>(k + 1)) + std::log(rate) -
                std::log1p(-rate);
  }
  return std::min(sum, 1.0);
}

}  // namespace

AnnotationRecord::Prelabel ShownOf(absl::string_view task, const fairlead::v1::ModelLoop& loop) {
  if (!loop.show_prelabel()) return AnnotationRecord::PRELABEL_UNSPECIFIED;
  const double share = loop.blind_share() > 0 ? loop.blind_share() : kBlindShare;
  return LotOf("blind", task) < share ? AnnotationRecord::BLIND : AnnotationRecord::SHOWN;
}

double ProvenFrom(const std::vector<PairedItem>& readings, double accuracy) {
  std::vector<std::pair<double, bool>> sorted;  // Confidence, wrong.
  for (const PairedItem& item : readings) {
    if (!std::isfinite(item.challenger_confidence)) return 0;
    sorted.emplace_back(item.challenger_confidence, item.challenger_right < 1);
  }
  std::sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) {
    return a.first != b.first ? a.first > b.first : a.second > b.second;
  });
  // No smaller part could be proven, were it without an error.
  const double least = std::ceil(std::log(kLevel) / std::log(accuracy));
  double proven = 0;
  size_t wrong = 0;
  size_t taken = 0;
  for (size_t n = static_cast<size_t>(least); n <= sorted.size(); n += kStep) {
    for (; taken < n; ++taken) wrong += sorted[taken].second ? 1 : 0;
    if (AtMost(wrong, n, 1 - accuracy) > kLevel) break;
    proven = sorted[n - 1].first;
  }
  return proven;
}

Proven ProvenOf(const fairlead::v1::ModelLoop& loop, const store::v1::ModelRecord& model) {
  if (loop.auto_accept_accuracy() <= 0) return {};
  for (const store::v1::ModelVersionRecord& version : model.versions()) {
    if (version.version() == model.champion())
      return {version.version(), version.auto_accept_from()};
  }
  return {};
}

bool IsDecidedByModel(const Proven& proven, absl::string_view task, absl::string_view version,
                      double confidence) {
  return proven.from > 0 && version == proven.version && confidence >= proven.from &&
         LotOf("audit", task) >= kAuditShare;
}

}  // namespace fairlead::learn
