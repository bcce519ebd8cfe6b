#include "scheduler/learn/adwin.h"

#include <algorithm>
#include <cmath>

namespace fairlead::learn {
namespace {

constexpr int64_t kMinSide = 5;

// Sum of squared distances of a set joined from two (Chan, Golub and LeVeque 1979).
double JoinedScatter(double n0, double sum0, double scatter0, double n1, double sum1,
                     double scatter1) {
  if (n0 == 0 || n1 == 0) return scatter0 + scatter1;
  const double gap = sum0 / n0 - sum1 / n1;
  return scatter0 + scatter1 + gap * gap * n0 * n1 / (n0 + n1);
}

}  // namespace

void Adwin::Insert(double value) {
  if (levels_.empty()) levels_.emplace_back();
  scatter_ = JoinedScatter(static_cast<double>(count_), sum_, scatter_, 1, value, 0);
  ++count_;
  sum_ += value;
  levels_[0].insert(levels_[0].begin(), {value, 0});
  for (size_t level = 0; level < levels_.size(); ++level) {
    if (levels_[level].size() <= kBucketsALevel) break;
    if (level + 1 == levels_.size()) levels_.emplace_back();
    const Bucket last = levels_[level].back();
    levels_[level].pop_back();
    const Bucket before = levels_[level].back();
    levels_[level].pop_back();
    const double n = std::ldexp(1.0, static_cast<int>(level));
    levels_[level + 1].insert(levels_[level + 1].begin(),
                              {last.sum + before.sum, JoinedScatter(n, last.sum, last.scatter, n,
                                                                    before.sum, before.scatter)});
  }
}

void Adwin::DropOldest() {
  const Bucket oldest = levels_.back().back();
  const double n = std::ldexp(1.0, static_cast<int>(levels_.size()) - 1);
  levels_.back().pop_back();
  if (levels_.back().empty()) levels_.pop_back();
  count_ -= static_cast<int64_t>(n);
  sum_ -= oldest.sum;
  const auto left = static_cast<double>(count_);
  const double gap = count_ == 0 ? 0 : oldest.sum / n - sum_ / left;
  scatter_ = std::max(0.0, scatter_ - oldest.scatter - gap * gap * n * left / (n + left));
}

int Adwin::CutOnce() {
  const auto n = static_cast<double>(count_);
  const double variance = scatter_ / n;
  const double chance = std::log(2 * std::log(std::max(n, 2.72)) / delta_);
  double old_count = 0, old_sum = 0;
  for (size_t level = levels_.size(); level-- > 0;) {
    for (size_t i = levels_[level].size(); i-- > 0;) {
      old_count += std::ldexp(1.0, static_cast<int>(level));
      old_sum += levels_[level][i].sum;
      const double new_count = n - old_count;
      if (new_count < kMinSide) return 0;
      if (old_count < kMinSide) continue;
      const double inverse = 1 / old_count + 1 / new_count;
      const double epsilon =
          std::sqrt(2 * inverse * variance * chance) + 2.0 / 3 * inverse * chance;
      const double rise = (sum_ - old_sum) / new_count - old_sum / old_count;
      if (std::abs(rise) <= epsilon) continue;
      DropOldest();
      return rise > 0 ? 1 : -1;
    }
  }
  return 0;
}

bool Adwin::Add(double value) {
  Insert(std::clamp(value, 0.0, 1.0));
  bool rose = false;
  for (int cut = CutOnce(); cut != 0; cut = CutOnce()) rose = rose || cut > 0;
  return rose;
}

}  // namespace fairlead::learn
