// Small charts as SVG 1.1, for reports and the demo: several panels below one another in one file,
// each with a title, axes with round ticks, a legend and line, step, scatter or bar series.
// Pure: the same input gives the same bytes.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead {

enum class PlotMark {
  kLine,   // Points joined by straight lines, each point dotted when there are few.
  kStep,   // A value holds until the next x.
  kPoint,  // Dots only.
  kBar,    // Upright bars from 0; the bar series of a panel stand side by side.
};

struct PlotSeries {
  std::string name;  // In the legend; empty leaves it out.
  PlotMark mark = PlotMark::kLine;
  std::vector<std::pair<double, double>> points;  // (x, y); x ascends.
};

struct PlotPanel {
  std::string title;
  std::string x_label;
  std::string y_label;
  std::vector<PlotSeries> series;
  // The y axis begins at 0 when all values are ≥ 0 and this is set.
  bool from_zero = true;
};

struct PlotOptions {
  int width = 760;         // Pixels, of the whole file.
  int panel_height = 300;  // Pixels.
};

// Where a panel's values land. Pixels from the top left of the file.
struct PlotFrame {
  double left = 0, top = 0, right = 0, bottom = 0;
  double x_min = 0, x_max = 1, y_min = 0, y_max = 1;
  double PixelX(double x) const { return left + (x - x_min) / (x_max - x_min) * (right - left); }
  double PixelY(double y) const { return bottom - (y - y_min) / (y_max - y_min) * (bottom - top); }
};

// The frame that RenderSvg gives the panel with this index.
PlotFrame FrameOf(const PlotPanel& panel, int index, const PlotOptions& options = {});

// 1, 2 or 5 times a power of ten apart; about `count` values within [low, high].
std::vector<double> RoundTicks(double low, double high, int count);

// INVALID_ARGUMENT when there is no panel or a value is not finite. A panel without points is drawn
// empty and says so.
absl::StatusOr<std::string> RenderSvg(const std::vector<PlotPanel>& panels,
                                      const PlotOptions& options = {});

}  // namespace fairlead
