#include "tests/bench/marks.h"

#include <cstdio>
#include <ctime>
#include <fstream>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fairlead::bench {

void Marks::Add(Mark mark) {
  std::fprintf(stdout, "%-26s %-34s %10.4f %-8s %s%s\n", mark.name.c_str(), mark.metric.c_str(),
               mark.value, mark.unit.c_str(),
               mark.wanted.empty() ? "" : (mark.met ? "ok    " : "MISSED "), mark.wanted.c_str());
  std::fflush(stdout);
  marks_.push_back(std::move(mark));
}

void Marks::Record(const std::string& name, const std::string& metric, double value,
                   const std::string& unit) {
  marks_.push_back({name, metric, unit, value, "", true});
}

void Marks::Figure(const std::string& name, const std::string& metric, double value,
                   const std::string& unit) {
  Add({name, metric, unit, value, "", true});
}

void Marks::Check(const std::string& name, const std::string& metric, double value,
                  const std::string& unit, const std::string& wanted, bool met) {
  Add({name, metric, unit, value, wanted, met});
}

bool Marks::Print() const {
  int met = 0, wanted = 0;
  for (const Mark& mark : marks_) {
    if (mark.wanted.empty()) continue;
    ++wanted;
    met += mark.met ? 1 : 0;
  }
  std::fprintf(stdout, "%s: %d of %d marks met, %.1f CPU seconds\n", bench_.c_str(), met, wanted,
               CpuSeconds());
  return met == wanted;
}

absl::Status Marks::WriteJson(const std::string& path) const {
  std::ofstream out(path);
  for (const Mark& mark : marks_) {
    nlohmann::json line = {{"bench", bench_},
                           {"case", mark.name},
                           {"metric", mark.metric},
                           {"value", mark.value},
                           {"unit", mark.unit}};
    if (!mark.wanted.empty()) {
      line["wanted"] = mark.wanted;
      line["met"] = mark.met;
    }
    out << line.dump() << "\n";
  }
  out.close();
  return out ? absl::OkStatus()
             : absl::InvalidArgumentError(absl::StrCat(path, ": cannot be written"));
}

double CpuSeconds() { return static_cast<double>(std::clock()) / CLOCKS_PER_SEC; }

}  // namespace fairlead::bench
