#include "trainer/data/text_fit.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "trainer/data/labels.h"

namespace fairlead::trainer {
namespace {

// Why the limit refuses the text; empty when it does not.
std::string Refusal(const std::vector<std::string>& points, const TextLimit& limit) {
  const int length = static_cast<int>(points.size());
  if (length > limit.characters) {
    return absl::StrCat("text: ", length, " characters, the ", limit.head, " head holds at most ",
                        limit.characters,
                        limit.columns > 0 ? absl::StrCat(" at image width ", limit.width) : "");
  }
  if (limit.columns == 0) return "";
  int columns = length;
  for (size_t i = 1; i < points.size(); ++i) columns += points[i] == points[i - 1];
  if (columns <= limit.columns) return "";
  return absl::StrCat("text: needs ", columns, " columns (", length,
                      " characters, some equal to their neighbours), the ", limit.head,
                      " head has at most ", limit.columns, " at image width ", limit.width);
}

}  // namespace

absl::StatusOr<TextFit> FitTexts(absl::Span<const OcrExample> examples, const TextLimit& limit) {
  TextFit fit;
  fit.usable.assign(examples.size(), true);
  bool any = false;
  for (size_t i = 0; i < examples.size(); ++i) {
    const OcrExample& example = examples[i];
    if (example.split != Split::kTrain) continue;
    const auto points = SplitCodePoints(example.text);
    if (!points.ok()) {
      return Annotate(points.status(), absl::StrCat("examples[", i, "] (", example.id, ")"));
    }
    std::string refusal = Refusal(*points, limit);
    if (refusal.empty()) {
      any = true;
      fit.longest = std::max(fit.longest, static_cast<int>(points->size()));
    } else {
      fit.usable[i] = false;
      fit.set_aside.push_back({example.id, std::move(refusal)});
    }
  }
  if (any || fit.set_aside.empty()) return fit;
  return FieldError("examples",
                    absl::StrCat("no training text fits; use a wider image or another head. ",
                                 fit.set_aside[0].id, ": ", fit.set_aside[0].reason));
}

}  // namespace fairlead::trainer
