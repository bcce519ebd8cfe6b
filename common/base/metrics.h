// Metrics in Prometheus' model, one registry a process. A metric is looked up by name and labels;
// the first look-up makes it. Keep the reference where a metric is hot: a look-up takes a lock, an
// update does not. Names: fairlead_<area>_<what>_<unit>, counters end in _total. Labels must have
// few values: never an id of a task, a contractor or a request.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace prometheus {
class Counter;
class Gauge;
class Histogram;
}  // namespace prometheus

namespace fairlead {

using MetricLabels = std::map<std::string, std::string>;

// The four below are thread-safe; what they refer to lives as long as the process. A name that is
// not [a-z0-9_], does not begin with fairlead_, or has another type already ends the process: only
// a bug can do that.

// Only grows: Increment() or Increment(double).
class Counter {
 public:
  explicit Counter(prometheus::Counter& counter) : counter_(counter) {}
  void Increment(double by = 1);  // `by` below 0 is ignored.
  double Value() const;

 private:
  prometheus::Counter& counter_;
};

// Goes up and down.
class Gauge {
 public:
  explicit Gauge(prometheus::Gauge& gauge) : gauge_(gauge) {}
  void Set(double value);
  void Add(double by);
  double Value() const;

 private:
  prometheus::Gauge& gauge_;
};

// Counts observations in buckets; a bucket holds what is at or below its bound.
class Histogram {
 public:
  explicit Histogram(prometheus::Histogram& histogram) : histogram_(histogram) {}
  void Observe(double value);

 private:
  prometheus::Histogram& histogram_;
};

// `help` of the first look-up of a name counts.
Counter CounterOf(absl::string_view name, absl::string_view help, const MetricLabels& labels = {});
Gauge GaugeOf(absl::string_view name, absl::string_view help, const MetricLabels& labels = {});
// `bounds` ascend; those of the first look-up of name and labels count.
Histogram HistogramOf(absl::string_view name, absl::string_view help,
                      const std::vector<double>& bounds, const MetricLabels& labels = {});

// Bounds in seconds for latencies, 1 ms to 10 s.
const std::vector<double>& LatencyBounds();

// The registry in Prometheus' text format, as /metrics serves it.
std::string MetricsText();

// Serves GET /metrics until destroyed.
class MetricsServer {
 public:
  virtual ~MetricsServer() = default;
  // The port really used; `address` may have asked for port 0.
  virtual int port() const = 0;
};

// `address`: "host:port", for instance "0.0.0.0:9464". UNAVAILABLE (reason METRICS_ADDRESS) when it
// cannot be bound; INVALID_ARGUMENT when it is not of that form.
absl::StatusOr<std::unique_ptr<MetricsServer>> StartMetricsServer(absl::string_view address);

}  // namespace fairlead
