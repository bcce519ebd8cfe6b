#include "scheduler/dispatch/assignment.h"

#include <algorithm>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace fairlead::dispatch {
namespace {

// By trying everything: the most rows, then the earlier ones, then the greatest sum.
struct Best {
  int rows = 0;
  std::vector<bool> who;
  double sum = 0;
};

void Try(const PairValues& values, size_t row, std::vector<bool>& used, Best now, Best& best) {
  if (row == values.rows) {
    int64_t order = 0, best_order = 0;
    for (const bool has : now.who) order = order * 2 + has;
    for (const bool has : best.who) best_order = best_order * 2 + has;
    const bool better = now.rows != best.rows ? now.rows > best.rows
                        : order != best_order ? order > best_order
                                              : now.sum > best.sum;
    if (best.who.empty() || better) best = now;
    return;
  }
  now.who.push_back(false);
  Try(values, row + 1, used, now, best);
  now.who.back() = true;
  ++now.rows;
  for (size_t column = 0; column < values.columns; ++column) {
    if (used[column] || values[row][column] < 0) continue;
    used[column] = true;
    Best next = now;
    next.sum += values[row][column];
    Try(values, row + 1, used, next, best);
    used[column] = false;
  }
}

double SumOf(const PairValues& values, const std::vector<int>& assigned) {
  double sum = 0;
  std::set<int> taken;
  for (size_t row = 0; row < values.rows; ++row) {
    if (assigned[row] == kUnassigned) continue;
    EXPECT_TRUE(taken.insert(assigned[row]).second) << "a column twice";
    EXPECT_GE(values[row][static_cast<size_t>(assigned[row])], 0) << "not allowed";
    sum += values[row][static_cast<size_t>(assigned[row])];
  }
  return sum;
}

TEST(AssignmentTest, IsTheBestThereIs) {
  std::mt19937 rng(7);
  for (int round = 0; round < 400; ++round) {
    SCOPED_TRACE(round);
    PairValues values(1 + rng() % 5, 1 + rng() % 5);
    const unsigned forbidden = rng() % 4;
    for (double& value : values.values) {
      if (rng() % 4 >= forbidden) value = static_cast<double>(rng() % 1'000) / 10;
    }
    std::vector<bool> used(values.columns, false);
    Best best;
    Try(values, 0, used, {}, best);
    const std::vector<int> assigned = Assign(values);
    const auto rows = std::count_if(assigned.begin(), assigned.end(),
                                    [](int column) { return column != kUnassigned; });
    EXPECT_EQ(rows, best.rows);
    EXPECT_NEAR(SumOf(values, assigned), best.sum, 1e-3);
  }
}

TEST(AssignmentTest, EqualRowsTakeTheBestColumns) {
  PairValues values(200, 300);
  for (size_t row = 0; row < values.rows; ++row) {
    for (size_t column = 0; column < values.columns; ++column) {
      values[row][column] = 1 + static_cast<double>(column) / 300;
    }
  }
  const std::vector<int> assigned = Assign(values);
  // Two hundred rows, each at most a two-thousandth of 2 from its best.
  EXPECT_NEAR(SumOf(values, assigned), 200 + (100 + 299) * 100 / 300.0, 0.2);
}

// What a bucket's places look like: each row wants the same columns, more or less urgently. The
// best is known: the first in one order goes with the first in the other (rearrangement
// inequality).
TEST(AssignmentTest, ProductsArePairedInOrder) {
  std::mt19937 rng(11);
  std::uniform_real_distribution<> uniform(1, 2);
  std::vector<double> urgency(400), index(400);
  for (double& u : urgency) u = uniform(rng);
  for (double& x : index) x = uniform(rng) - 1;
  PairValues values(urgency.size(), index.size());
  for (size_t row = 0; row < values.rows; ++row) {
    for (size_t column = 0; column < values.columns; ++column) {
      values[row][column] = urgency[row] * index[column];
    }
  }
  const double sum = SumOf(values, Assign(values));
  std::sort(urgency.begin(), urgency.end());
  std::sort(index.begin(), index.end());
  const double best = std::inner_product(urgency.begin(), urgency.end(), index.begin(), 0.0);
  EXPECT_LE(sum, best + 1e-6);
  EXPECT_GE(sum, best - 400 * 5e-4 * 1.5);
}

TEST(AssignmentTest, EarlierRowsComeFirstWhereColumnsAreShort) {
  PairValues values(3, 2);
  for (size_t column = 0; column < 2; ++column) {
    values[0][column] = 1;
    values[1][column] = 2;
    values[2][column] = 100;
  }
  const std::vector<int> assigned = Assign(values);
  EXPECT_NE(assigned[0], kUnassigned);
  EXPECT_NE(assigned[1], kUnassigned);
  EXPECT_EQ(assigned[2], kUnassigned);
}

TEST(AssignmentTest, NothingToAssign) {
  EXPECT_TRUE(Assign(PairValues(0, 4)).empty());
  EXPECT_EQ(Assign(PairValues(2, 0)), std::vector<int>({kUnassigned, kUnassigned}));
  EXPECT_EQ(Assign(PairValues(2, 3)), std::vector<int>({kUnassigned, kUnassigned}));
}

}  // namespace
}  // namespace fairlead::dispatch
