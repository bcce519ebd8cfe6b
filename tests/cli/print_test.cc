#include "scheduler/cli/print.h"

#include "gtest/gtest.h"

namespace fairlead::cli {
namespace {

TEST(PrintTest, MetricChangesStandSideBySide) {
  v1::ModelVersion before, after;
  before.set_name("tenants/t/models/m/versions/3");
  after.set_name("tenants/t/models/m/versions/4");
  (*before.mutable_metrics())["test.exact_match"] = 0.5;
  (*after.mutable_metrics())["test.exact_match"] = 0.75;
  (*after.mutable_metrics())["seconds"] = 2;
  EXPECT_EQ(FormatMetricChanges(before, after),
            FormatTable({{"METRIC", "3", "4", "CHANGE"},
                         {"seconds", "–", "2", ""},
                         {"test.exact_match", "0.5", "0.75", "+0.25"}}));
}

}  // namespace
}  // namespace fairlead::cli
