#include "tests/bench/rpc_arrivals.h"

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <random>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"

namespace fairlead::bench {

std::vector<double> PoissonArrivals(double rate, double seconds) {
  std::mt19937_64 gen(1);
  std::exponential_distribution<double> gap(rate);
  std::vector<double> arrivals;
  for (double at = gap(gen); at < seconds; at += gap(gen)) arrivals.push_back(at);
  return arrivals;
}

absl::StatusOr<std::vector<double>> RecordedArrivals(const std::string& folder, double rate,
                                                     double seconds) {
  const std::string path = folder + "/ad-corrected-hit-times.csv";
  std::ifstream file(path);
  if (!file) return absl::NotFoundError(absl::StrCat("cannot read ", path));
  std::mt19937_64 gen(1);
  std::uniform_real_distribution<double> within(0, 1);
  std::vector<double> taken;  // Seconds since the epoch.
  for (std::string line; std::getline(file, line);) {
    const size_t from = line.find('"'), to = line.find('"', from + 1);
    absl::Time time;
    if (from == std::string::npos || to == std::string::npos ||
        !absl::ParseTime("%Y-%m-%d %H:%M:%S", line.substr(from + 1, to - from - 1), &time,
                         nullptr)) {
      continue;  // The header.
    }
    taken.push_back(static_cast<double>(absl::ToUnixSeconds(time)) + within(gen));
  }
  if (taken.size() < 2) return absl::NotFoundError(absl::StrCat("no times in ", path));
  std::sort(taken.begin(), taken.end());
  const auto wanted = static_cast<size_t>(std::max(2.0, rate * seconds));
  const size_t part = std::min(wanted, taken.size());
  const double scale = static_cast<double>(part) / rate / (taken[part - 1] - taken[0]);
  std::vector<double> arrivals;
  for (size_t i = 0; i < wanted; ++i) {
    const double lap = static_cast<double>(i / part) * static_cast<double>(part) / rate;
    arrivals.push_back(lap + (taken[i % part] - taken[0]) * scale);
  }
  return arrivals;
}

}  // namespace fairlead::bench
