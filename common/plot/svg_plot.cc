#include "common/plot/svg_plot.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "common/base/status.h"

namespace fairlead {
namespace {

// Okabe and Ito's palette (2008), told apart by colour-blind readers as well.
constexpr const char* kColors[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7",
                                   "#E69F00", "#56B4E9", "#000000"};
constexpr double kMarginLeft = 64;
constexpr double kMarginRight = 20;
constexpr double kMarginTop = 52;
constexpr double kMarginBottom = 48;
constexpr size_t kMostDots = 40;  // A line with more points than this is drawn without dots.
constexpr double kBarGroupShare = 0.8;

// XML knows no way to write control characters, so they become spaces.
std::string Escape(absl::string_view text) {
  std::string plain(text);
  std::replace_if(
      plain.begin(), plain.end(), [](unsigned char c) { return c < 0x20 || c == 0x7F; }, ' ');
  return absl::StrReplaceAll(plain,
                             {{"&", "&amp;"}, {"<", "&lt;"}, {">", "&gt;"}, {"\"", "&quot;"}});
}

std::string Number(double value) { return absl::StrFormat("%.6g", value == 0 ? 0 : value); }
std::string Pixel(double value) { return absl::StrFormat("%.2f", value); }

const char* ColorOf(size_t series) { return kColors[series % std::size(kColors)]; }

void Text(double x, double y, absl::string_view anchor, absl::string_view more,
          absl::string_view text, std::string* svg) {
  absl::StrAppend(svg, "<text x=\"", Pixel(x), "\" y=\"", Pixel(y), "\" text-anchor=\"", anchor,
                  "\"", more, ">", Escape(text), "</text>\n");
}

void Line(double x1, double y1, double x2, double y2, absl::string_view color, std::string* svg) {
  absl::StrAppend(svg, "<line x1=\"", Pixel(x1), "\" y1=\"", Pixel(y1), "\" x2=\"", Pixel(x2),
                  "\" y2=\"", Pixel(y2), "\" stroke=\"", color, "\"/>\n");
}

struct Range {
  double low = std::numeric_limits<double>::infinity();
  double high = -std::numeric_limits<double>::infinity();

  void Add(double value) {
    low = std::min(low, value);
    high = std::max(high, value);
  }
  // Never empty and never of no width.
  void Settle() {
    if (low > high) low = 0, high = 1;
    if (low == high) {
      const double pad = low == 0 ? 1 : std::abs(low) * 0.1;
      low -= pad;
      high += pad;
    }
  }
};

// Distance between the closest bars of a panel, in units of x.
double BarStep(const PlotPanel& panel) {
  std::vector<double> xs;
  for (const PlotSeries& series : panel.series) {
    if (series.mark != PlotMark::kBar) continue;
    for (const auto& point : series.points) xs.push_back(point.first);
  }
  std::sort(xs.begin(), xs.end());
  double step = std::numeric_limits<double>::infinity();
  for (size_t i = 1; i < xs.size(); ++i) {
    if (xs[i] > xs[i - 1]) step = std::min(step, xs[i] - xs[i - 1]);
  }
  return std::isfinite(step) ? step : 1;
}

Range XRange(const PlotPanel& panel) {
  Range range;
  const double half_bar = BarStep(panel) / 2;
  for (const PlotSeries& series : panel.series) {
    const double pad = series.mark == PlotMark::kBar ? half_bar : 0;
    for (const auto& point : series.points) {
      range.Add(point.first - pad);
      range.Add(point.first + pad);
    }
  }
  range.Settle();
  return range;
}

Range YRange(const PlotPanel& panel) {
  Range range;
  bool bars = false;
  for (const PlotSeries& series : panel.series) {
    bars = bars || (series.mark == PlotMark::kBar && !series.points.empty());
    for (const auto& point : series.points) range.Add(point.second);
  }
  const bool anchored = bars || (panel.from_zero && range.low >= 0 && range.low <= range.high);
  if (anchored) range.Add(0);
  range.Settle();
  const double air = 0.05 * (range.high - range.low);
  if (range.high > 0 || !anchored) range.high += air;
  if (range.low < 0 || !anchored) range.low -= air;
  return range;
}

// Half a version or half a count means nothing: whole values get whole ticks.
std::vector<double> XTicks(const PlotPanel& panel, const PlotFrame& frame) {
  const auto whole = [](double x) { return x == std::floor(x); };
  std::vector<double> ticks = RoundTicks(frame.x_min, frame.x_max, 8);
  for (const PlotSeries& series : panel.series) {
    for (const auto& point : series.points) {
      if (!whole(point.first)) return ticks;
    }
  }
  ticks.erase(std::remove_if(ticks.begin(), ticks.end(), [&](double x) { return !whole(x); }),
              ticks.end());
  return ticks;
}

void DrawAxes(const PlotPanel& panel, const PlotFrame& frame, std::string* svg) {
  for (double y : RoundTicks(frame.y_min, frame.y_max, 5)) {
    Line(frame.left, frame.PixelY(y), frame.right, frame.PixelY(y), "#e4e4e4", svg);
    Text(frame.left - 6, frame.PixelY(y) + 4, "end", "", Number(y), svg);
  }
  for (double x : XTicks(panel, frame)) {
    Line(frame.PixelX(x), frame.bottom, frame.PixelX(x), frame.bottom + 4, "#444444", svg);
    Text(frame.PixelX(x), frame.bottom + 17, "middle", "", Number(x), svg);
  }
  Line(frame.left, frame.bottom, frame.right, frame.bottom, "#444444", svg);
  Line(frame.left, frame.top, frame.left, frame.bottom, "#444444", svg);
  const double middle_x = (frame.left + frame.right) / 2;
  const double middle_y = (frame.top + frame.bottom) / 2;
  Text(middle_x, frame.bottom + 36, "middle", "", panel.x_label, svg);
  Text(16, middle_y, "middle", absl::StrCat(" transform=\"rotate(-90 16 ", Pixel(middle_y), ")\""),
       panel.y_label, svg);
  Text(frame.left, frame.top - 30, "start", " font-size=\"15\" font-weight=\"bold\"", panel.title,
       svg);
}

void DrawLegend(const PlotPanel& panel, const PlotFrame& frame, std::string* svg) {
  double x = frame.left;
  for (size_t i = 0; i < panel.series.size(); ++i) {
    if (panel.series[i].name.empty()) continue;
    absl::StrAppend(svg, "<rect x=\"", Pixel(x), "\" y=\"", Pixel(frame.top - 19),
                    "\" width=\"12\" height=\"8\" fill=\"", ColorOf(i), "\"/>\n");
    Text(x + 17, frame.top - 11, "start", "", panel.series[i].name, svg);
    // Without font metrics: 6.6 pixels a character is on the wide side for 12 pixels of sans-serif.
    x += 36 + 6.6 * static_cast<double>(panel.series[i].name.size());
  }
}

void DrawPath(const PlotSeries& series, const PlotFrame& frame, const char* color,
              std::string* svg) {
  std::string path;
  for (size_t i = 0; i < series.points.size(); ++i) {
    const std::string x = Pixel(frame.PixelX(series.points[i].first));
    const std::string y = Pixel(frame.PixelY(series.points[i].second));
    if (i == 0) {
      absl::StrAppend(&path, "M", x, " ", y);
    } else if (series.mark == PlotMark::kStep) {
      absl::StrAppend(&path, " H", x, " V", y);
    } else {
      absl::StrAppend(&path, " L", x, " ", y);
    }
  }
  absl::StrAppend(svg, "<path d=\"", path, "\" fill=\"none\" stroke=\"", color,
                  "\" stroke-width=\"2\"/>\n");
}

void DrawDots(const PlotSeries& series, const PlotFrame& frame, const char* color,
              std::string* svg) {
  for (const auto& [x, y] : series.points) {
    absl::StrAppend(svg, "<circle cx=\"", Pixel(frame.PixelX(x)), "\" cy=\"",
                    Pixel(frame.PixelY(y)), "\" r=\"3\" fill=\"", color, "\"/>\n");
  }
}

// `place` of `count` bar series.
void DrawBars(const PlotSeries& series, const PlotFrame& frame, double step, size_t place,
              size_t count, const char* color, std::string* svg) {
  const double group = step * kBarGroupShare;
  const double bar = group / static_cast<double>(count);
  for (const auto& [x, y] : series.points) {
    const double from = x - group / 2 + bar * static_cast<double>(place);
    const double left = frame.PixelX(from);
    const double top = frame.PixelY(std::max(y, 0.0));
    absl::StrAppend(svg, "<rect x=\"", Pixel(left), "\" y=\"", Pixel(top), "\" width=\"",
                    Pixel(frame.PixelX(from + bar) - left), "\" height=\"",
                    Pixel(frame.PixelY(std::min(y, 0.0)) - top), "\" fill=\"", color, "\"/>\n");
  }
}

void DrawSeries(const PlotPanel& panel, const PlotFrame& frame, std::string* svg) {
  const size_t bars =
      std::count_if(panel.series.begin(), panel.series.end(),
                    [](const PlotSeries& series) { return series.mark == PlotMark::kBar; });
  size_t bar = 0;
  for (size_t i = 0; i < panel.series.size(); ++i) {
    const PlotSeries& series = panel.series[i];
    if (series.mark == PlotMark::kBar) {
      DrawBars(series, frame, BarStep(panel), bar++, bars, ColorOf(i), svg);
      continue;
    }
    if (series.points.empty()) continue;
    if (series.mark != PlotMark::kPoint) DrawPath(series, frame, ColorOf(i), svg);
    if (series.mark == PlotMark::kPoint ||
        (series.mark == PlotMark::kLine && series.points.size() <= kMostDots)) {
      DrawDots(series, frame, ColorOf(i), svg);
    }
  }
}

bool HasPoints(const PlotPanel& panel) {
  return std::any_of(panel.series.begin(), panel.series.end(),
                     [](const PlotSeries& series) { return !series.points.empty(); });
}

absl::Status CheckFinite(const PlotPanel& panel) {
  for (const PlotSeries& series : panel.series) {
    for (const auto& [x, y] : series.points) {
      if (std::isfinite(x) && std::isfinite(y)) continue;
      return Error(absl::StatusCode::kInvalidArgument, "PLOT_VALUE",
                   absl::StrCat("series \"", series.name, "\" of panel \"", panel.title,
                                "\" has a value that is not finite"));
    }
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<double> RoundTicks(double low, double high, int count) {
  const double rough = (high - low) / std::max(1, count);
  const double power = std::pow(10, std::floor(std::log10(rough)));
  double step = 10 * power;
  for (double factor : {1.0, 2.0, 5.0}) {
    if (factor * power >= rough * (1 - 1e-9)) {
      step = factor * power;
      break;
    }
  }
  std::vector<double> ticks;
  // Multiples, not sums, so that no error builds up and 0 is exactly 0.
  for (double i = std::ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; ++i) {
    ticks.push_back(i * step);
  }
  return ticks;
}

PlotFrame FrameOf(const PlotPanel& panel, int index, const PlotOptions& options) {
  const Range x = XRange(panel);
  const Range y = YRange(panel);
  PlotFrame frame;
  frame.left = kMarginLeft;
  frame.right = options.width - kMarginRight;
  frame.top = index * options.panel_height + kMarginTop;
  frame.bottom = (index + 1) * options.panel_height - kMarginBottom;
  frame.x_min = x.low;
  frame.x_max = x.high;
  frame.y_min = y.low;
  frame.y_max = y.high;
  return frame;
}

absl::StatusOr<std::string> RenderSvg(const std::vector<PlotPanel>& panels,
                                      const PlotOptions& options) {
  if (panels.empty()) {
    return Error(absl::StatusCode::kInvalidArgument, "PLOT_EMPTY", "a plot needs a panel");
  }
  for (const PlotPanel& panel : panels) RETURN_IF_ERROR(CheckFinite(panel));
  const int height = options.panel_height * static_cast<int>(panels.size());
  std::string svg = absl::StrCat(
      "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"", options.width, "\" height=\"", height,
      "\" viewBox=\"0 0 ", options.width, " ", height,
      "\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222222\">\n", "<rect width=\"",
      options.width, "\" height=\"", height, "\" fill=\"white\"/>\n");
  for (size_t i = 0; i < panels.size(); ++i) {
    const PlotFrame frame = FrameOf(panels[i], static_cast<int>(i), options);
    DrawAxes(panels[i], frame, &svg);
    DrawSeries(panels[i], frame, &svg);
    DrawLegend(panels[i], frame, &svg);
    if (!HasPoints(panels[i])) {
      Text((frame.left + frame.right) / 2, (frame.top + frame.bottom) / 2, "middle", "",
           "no points yet", &svg);
    }
  }
  absl::StrAppend(&svg, "</svg>\n");
  return svg;
}

}  // namespace fairlead
