// Drift of a stream's mean: ADWIN2 (Bifet and Gavaldà, "Learning from time-changing data with
// adaptive windowing", SDM 2007). A window that grows while the mean holds and forgets its old part
// when two parts of it differ. Thread-compatible. O(log n) memory and time a value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace fairlead::learn {

class Adwin {
 public:
  // `delta`: the chance that a stream which does not change is ever cut at one value's look.
  explicit Adwin(double delta = 0.002) : delta_(delta) {}

  // Takes a value in [0, 1]. Returns whether the window was cut and its mean has risen: of an
  // error, that it has become worse. A cut because the mean fell is made silently.
  bool Add(double value);

  int64_t count() const { return count_; }
  double mean() const { return count_ == 0 ? 0 : sum_ / static_cast<double>(count_); }

 private:
  // 2^level values, as their sum and the sum of their squared distances from their mean.
  struct Bucket {
    double sum = 0, scatter = 0;
  };
  static constexpr size_t kBucketsALevel = 5;  // M of the paper.

  void Insert(double value);
  void DropOldest();
  // One look at all cuts between buckets; drops the oldest bucket when two sides differ. +1 when
  // the newer side is higher, −1 when it is lower, 0 when nothing differs.
  int CutOnce();

  double delta_;
  std::vector<std::vector<Bucket>> levels_;  // levels_[k]: newest first.
  int64_t count_ = 0;
  double sum_ = 0, scatter_ = 0;
};

}  // namespace fairlead::learn
