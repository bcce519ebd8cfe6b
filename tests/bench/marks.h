// What a benchmark says: a table for people and, for scripts, one JSON object a line.
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace fairlead::bench {

struct Mark {
  std::string name, metric, unit;
  double value = 0;
  std::string wanted;  // The mark in words; empty: a figure to compare with.
  bool met = true;
};

class Marks {
 public:
  explicit Marks(std::string bench) : bench_(std::move(bench)) {}

  // A figure for the JSON lines alone: the caller shows it in a table of its own.
  void Record(const std::string& name, const std::string& metric, double value,
              const std::string& unit);
  // A figure without a mark.
  void Figure(const std::string& name, const std::string& metric, double value,
              const std::string& unit);
  void Check(const std::string& name, const std::string& metric, double value,
             const std::string& unit, const std::string& wanted, bool met);

  // Prints the table; returns whether every mark is met.
  bool Print() const;
  absl::Status WriteJson(const std::string& path) const;

 private:
  void Add(Mark mark);

  const std::string bench_;
  std::vector<Mark> marks_;
};

// CPU seconds of this process: what a shared machine does not distort.
double CpuSeconds();

}  // namespace fairlead::bench
