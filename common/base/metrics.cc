#include "common/base/metrics.h"

#include <algorithm>
#include <exception>
#include <utility>

#include <prometheus/counter.h>
#include <prometheus/exposer.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/status.h"

namespace fairlead {
namespace {

const std::shared_ptr<prometheus::Registry>& Registry() {
  static const auto* registry =
      new std::shared_ptr<prometheus::Registry>(std::make_shared<prometheus::Registry>());
  return *registry;
}

void CheckName(absl::string_view name) {
  const bool plain = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
  });
  FAIRLEAD_CHECK(plain && absl::StartsWith(name, "fairlead_")) << "metric name " << name;
}

// The registry throws where a name is used for two types.
template <typename Builder>
auto& FamilyOf(Builder builder, absl::string_view name, absl::string_view help) {
  CheckName(name);
  try {
    return builder.Name(std::string(name)).Help(std::string(help)).Register(*Registry());
  } catch (const std::exception& error) {
    FAIRLEAD_LOG(FATAL) << "metric " << name << ": " << error.what();
    std::terminate();
  }
}

class ExposerServer final : public MetricsServer {
 public:
  explicit ExposerServer(const std::string& address) : exposer_(address) {
    exposer_.RegisterCollectable(Registry());
  }
  int port() const override { return exposer_.GetListeningPorts().front(); }

 private:
  prometheus::Exposer exposer_;
};

}  // namespace

void Counter::Increment(double by) { counter_.Increment(by); }
double Counter::Value() const { return counter_.Value(); }

void Gauge::Set(double value) { gauge_.Set(value); }
void Gauge::Add(double by) { gauge_.Increment(by); }
double Gauge::Value() const { return gauge_.Value(); }

void Histogram::Observe(double value) { histogram_.Observe(value); }

Counter CounterOf(absl::string_view name, absl::string_view help, const MetricLabels& labels) {
  return Counter(FamilyOf(prometheus::BuildCounter(), name, help).Add(labels));
}

Gauge GaugeOf(absl::string_view name, absl::string_view help, const MetricLabels& labels) {
  return Gauge(FamilyOf(prometheus::BuildGauge(), name, help).Add(labels));
}

Histogram HistogramOf(absl::string_view name, absl::string_view help,
                      const std::vector<double>& bounds, const MetricLabels& labels) {
  return Histogram(FamilyOf(prometheus::BuildHistogram(), name, help).Add(labels, bounds));
}

const std::vector<double>& LatencyBounds() {
  static const auto* bounds = new std::vector<double>{0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1,
                                                      0.25,  0.5,    1,     2.5,  5,     10};
  return *bounds;
}

std::string MetricsText() { return prometheus::TextSerializer().Serialize(Registry()->Collect()); }

absl::StatusOr<std::unique_ptr<MetricsServer>> StartMetricsServer(absl::string_view address) {
  const size_t colon = address.rfind(':');
  int port = -1;
  if (colon == absl::string_view::npos || colon == 0 ||
      !absl::SimpleAtoi(address.substr(colon + 1), &port) || port < 0 || port > 65535) {
    return Error(absl::StatusCode::kInvalidArgument, "METRICS_ADDRESS",
                 absl::StrCat("the metrics address \"", address, "\" is not host:port"));
  }
  try {
    return std::make_unique<ExposerServer>(std::string(address));
  } catch (const std::exception& error) {
    return Error(absl::StatusCode::kUnavailable, "METRICS_ADDRESS",
                 absl::StrCat("cannot serve metrics on ", address, ": ", error.what()));
  }
}

}  // namespace fairlead
