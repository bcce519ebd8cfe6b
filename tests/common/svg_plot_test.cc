#include "common/plot/svg_plot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_format.h"

namespace fairlead {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Whether every tag is closed in order and every & begins an entity: enough of XML for what we
// write.
bool IsWellFormed(const std::string& xml) {
  std::vector<std::string> open;
  for (size_t at = 0; at < xml.size(); ++at) {
    if (xml[at] == '&') {
      bool entity = false;
      for (const char* name : {"&amp;", "&lt;", "&gt;", "&quot;"}) {
        entity = entity || absl::StartsWith(absl::string_view(xml).substr(at), name);
      }
      if (!entity) return false;
    }
    if (xml[at] != '<') continue;
    const size_t end = xml.find('>', at);
    if (end == std::string::npos) return false;
    const bool closes = xml[at + 1] == '/';
    size_t name_end = at + 1 + closes;
    while (std::isalpha(static_cast<unsigned char>(xml[name_end]))) ++name_end;
    const std::string name = xml.substr(at + 1 + closes, name_end - at - 1 - closes);
    if (closes) {
      if (open.empty() || open.back() != name) return false;
      open.pop_back();
    } else if (xml[end - 1] != '/') {
      open.push_back(name);
    }
    at = end;
  }
  return open.empty();
}

PlotPanel Panel(PlotMark mark, std::vector<std::pair<double, double>> points) {
  return PlotPanel{"Title", "x", "y", {PlotSeries{"series", mark, std::move(points)}}};
}

TEST(SvgPlotTest, PutsPointsWhereTheyBelong) {
  const PlotPanel panel = Panel(PlotMark::kLine, {{0, 0}, {5, 50}, {10, 100}});
  const PlotOptions options;
  const PlotFrame frame = FrameOf(panel, 0, options);
  EXPECT_DOUBLE_EQ(frame.PixelX(0), frame.left);
  EXPECT_DOUBLE_EQ(frame.PixelX(10), frame.right);
  EXPECT_DOUBLE_EQ(frame.PixelY(0), frame.bottom);
  EXPECT_DOUBLE_EQ(frame.PixelX(5), (frame.left + frame.right) / 2);
  EXPECT_GT(frame.PixelY(100), frame.top);
  const std::string svg = RenderSvg({panel}, options).value();
  EXPECT_THAT(svg, HasSubstr(absl::StrFormat("<circle cx=\"%.2f\" cy=\"%.2f\"", frame.PixelX(5),
                                             frame.PixelY(50))));
  EXPECT_THAT(svg, HasSubstr(absl::StrFormat("M%.2f %.2f L%.2f %.2f", frame.left, frame.bottom,
                                             frame.PixelX(5), frame.PixelY(50))));
}

TEST(SvgPlotTest, HoldsAStepUntilTheNextValue) {
  const PlotPanel panel = Panel(PlotMark::kStep, {{0, 1}, {4, 3}});
  const PlotFrame frame = FrameOf(panel, 0);
  EXPECT_THAT(RenderSvg({panel}).value(),
              HasSubstr(absl::StrFormat("M%.2f %.2f H%.2f V%.2f", frame.PixelX(0), frame.PixelY(1),
                                        frame.PixelX(4), frame.PixelY(3))));
}

TEST(SvgPlotTest, StandsBarsOnZeroSideBySide) {
  PlotPanel panel = Panel(PlotMark::kBar, {{1, 4}, {2, -2}});
  panel.series.push_back(PlotSeries{"other", PlotMark::kBar, {{1, 3}}});
  const PlotFrame frame = FrameOf(panel, 0);
  const std::string svg = RenderSvg({panel}).value();
  const double width = frame.PixelX(1.4) - frame.PixelX(1.0);
  const auto bar = [&](double x, double top, double height) {
    return absl::StrFormat("<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\"",
                           frame.PixelX(x), top, width, height);
  };
  EXPECT_THAT(svg, HasSubstr(bar(0.6, frame.PixelY(4), frame.PixelY(0) - frame.PixelY(4))));
  EXPECT_THAT(svg, HasSubstr(bar(1.6, frame.PixelY(0), frame.PixelY(-2) - frame.PixelY(0))));
  EXPECT_THAT(svg, HasSubstr(bar(1.0, frame.PixelY(3), frame.PixelY(0) - frame.PixelY(3))));
}

TEST(SvgPlotTest, StacksPanelsBelowOneAnother) {
  const PlotPanel panel = Panel(PlotMark::kPoint, {{1, 1}, {2, 2}});
  PlotOptions options;
  options.panel_height = 200;
  const PlotFrame first = FrameOf(panel, 0, options);
  const PlotFrame second = FrameOf(panel, 1, options);
  EXPECT_DOUBLE_EQ(second.top - first.top, 200);
  EXPECT_LT(first.bottom, second.top);
  EXPECT_THAT(RenderSvg({panel, panel}, options).value(), HasSubstr("height=\"400\""));
}

TEST(SvgPlotTest, StaysWellFormedWhateverItIsGiven) {
  PlotPanel odd = Panel(PlotMark::kLine, {{3, 7}});
  odd.title = "a < b & \"c\" > d\x01\n";
  odd.series[0].name = "</svg>&lt;";
  const PlotPanel empty = Panel(PlotMark::kBar, {});
  const PlotPanel tiny = Panel(PlotMark::kStep, {{1e-9, -1e-12}, {2e-9, -1e-12}});
  const PlotPanel large = Panel(PlotMark::kLine, {{1e15, 1e300}, {2e15, -1e300}});
  for (const auto& panels : {std::vector<PlotPanel>{odd}, {empty}, {tiny}, {large}, {odd, empty}}) {
    const std::string svg = RenderSvg(panels).value();
    EXPECT_TRUE(IsWellFormed(svg)) << svg;
    EXPECT_FALSE(absl::StrContains(svg, "nan")) << svg;
    EXPECT_FALSE(absl::StrContains(svg, "inf")) << svg;
  }
  EXPECT_THAT(RenderSvg({empty}).value(), HasSubstr("no points yet"));
}

TEST(SvgPlotTest, RefusesNothingAndNonsense) {
  EXPECT_FALSE(RenderSvg({}).ok());
  const double nan = std::numeric_limits<double>::quiet_NaN();
  EXPECT_FALSE(RenderSvg({Panel(PlotMark::kLine, {{0, nan}})}).ok());
}

TEST(SvgPlotTest, ChoosesRoundTicks) {
  EXPECT_THAT(RoundTicks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(RoundTicks(0, 1, 5),
              testing::Pointwise(testing::DoubleEq(), {0.0, 0.2, 0.4, 0.6, 0.8, 1.0}));
  EXPECT_THAT(RoundTicks(-1300, 1300, 4), ElementsAre(-1000, 0, 1000));
}

}  // namespace
}  // namespace fairlead
