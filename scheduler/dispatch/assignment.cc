#include "scheduler/dispatch/assignment.h"

#include <algorithm>
#include <limits>
#include <numeric>
#include <utility>

namespace fairlead::dispatch {
namespace {

constexpr int kNone = -1;
// Steps a column of a row reduction, after which augmenting paths go on.
constexpr size_t kReductions = 8;
constexpr size_t kBids = 300;
// An auction begins with this many times its slack and divides it by kStep from phase to phase:
// where rows want the same columns, prices find their order in few large steps.
constexpr double kFirstSlack = 625;
constexpr double kStep = 5;
constexpr size_t kExactColumns = 64;  // Larger problems are solved with slack.
constexpr double kSlack = 5e-4;       // Of the median of the rows' greatest values.
constexpr double kInfinite = std::numeric_limits<double>::infinity();

// A square problem of least cost, solved in the four steps of the paper.
class JonkerVolgenant {
 public:
  // A row may end up to `slack` above the column that is cheapest for it; 0: exact.
  JonkerVolgenant(size_t n, double slack)
      : n_(n),
        slack_(slack),
        costs_(n * n, 0),
        price_(n, 0),
        row_of_(n, kNone),
        column_of_(n, kNone) {}

  double* operator[](size_t row) { return costs_.data() + row * n_; }

  const std::vector<int>& Solve() {
    if (slack_ > 0) {
      for (double times = kFirstSlack; times >= 1; times /= kStep) {
        FreeBeyond(slack_ * times);
        ReduceRows(slack_ * times, kBids * n_);
      }
    } else {
      ReduceColumns();
      for (int i = 0; i < 2; ++i) ReduceRows(0, kReductions * n_);
    }
    for (const int row : free_) Augment(row);
    return column_of_;
  }

 private:
  const double* Row(int row) const { return costs_.data() + static_cast<size_t>(row) * n_; }

  void Give(int row, int column) {
    column_of_[static_cast<size_t>(row)] = column;
    row_of_[static_cast<size_t>(column)] = row;
  }

  // Every column's price is its least cost, and the row that has it gets it, if it is still free.
  void ReduceColumns() {
    std::vector<int> cheapest(n_, 0);
    std::copy_n(costs_.begin(), n_, price_.begin());
    for (size_t row = 1; row < n_; ++row) {
      const double* costs = Row(static_cast<int>(row));
      for (size_t column = 0; column < n_; ++column) {
        if (costs[column] >= price_[column]) continue;
        price_[column] = costs[column];
        cheapest[column] = static_cast<int>(row);
      }
    }
    for (size_t column = n_; column-- > 0;) {
      const int row = cheapest[column];
      if (column_of_[static_cast<size_t>(row)] == kNone) Give(row, static_cast<int>(column));
    }
    for (size_t row = 0; row < n_; ++row) {
      if (column_of_[row] == kNone) free_.push_back(static_cast<int>(row));
    }
  }

  // The two columns that are cheapest for a row at today's prices.
  struct Cheapest {
    int first = kNone, second = kNone;
    double first_cost = kInfinite, second_cost = kInfinite;
  };
  Cheapest CheapestOf(int row) const {
    Cheapest best;
    const double* costs = Row(row);
    for (size_t column = 0; column < n_; ++column) {
      const double cost = costs[column] - price_[column];
      if (cost >= best.second_cost) continue;
      if (cost >= best.first_cost) {
        best.second = static_cast<int>(column);
        best.second_cost = cost;
        continue;
      }
      best.second = best.first;
      best.second_cost = best.first_cost;
      best.first = static_cast<int>(column);
      best.first_cost = cost;
    }
    return best;
  }

  // Rows without a column, or further than `slack` above the cheapest, look for one.
  void FreeBeyond(double slack) {
    free_.clear();
    for (size_t row = 0; row < n_; ++row) {
      const int column = column_of_[row];
      if (column != kNone) {
        const auto has = static_cast<size_t>(column);
        const double cost = Row(static_cast<int>(row))[has] - price_[has];
        if (cost <= CheapestOf(static_cast<int>(row)).first_cost + slack) continue;
        row_of_[has] = column_of_[row] = kNone;
      }
      free_.push_back(static_cast<int>(row));
    }
  }

  // Each free row takes the column that is cheapest for it, at a price at which the second cheapest
  // is as good; who had the column before looks for another, at once if a price was raised.
  void ReduceRows(double slack, size_t steps) {
    std::vector<int> waiting(free_.rbegin(), free_.rend()), left;
    while (!waiting.empty()) {
      const int row = waiting.back();
      waiting.pop_back();
      if (steps == 0) {
        left.push_back(row);
        continue;
      }
      --steps;
      const Cheapest best = CheapestOf(row);
      int column = best.first;
      bool raised = false;
      if (best.second != kNone) {
        double& price = price_[static_cast<size_t>(column)];
        const double lowered = price - (best.second_cost - best.first_cost) - slack;
        raised = lowered < price;
        price = lowered;
        if (!raised && row_of_[static_cast<size_t>(column)] != kNone) column = best.second;
      }
      const int before = row_of_[static_cast<size_t>(column)];
      Give(row, column);
      if (before == kNone) continue;
      column_of_[static_cast<size_t>(before)] = kNone;
      (raised ? waiting : left).push_back(before);
    }
    free_ = std::move(left);
  }

  // Dijkstra from a free row over reduced costs to the nearest free column.
  void Augment(int free_row) {
    distance_.assign(n_, kInfinite);
    from_.assign(n_, free_row);
    open_.resize(n_);
    std::iota(open_.begin(), open_.end(), 0);
    std::vector<int> done;
    int row = free_row;
    double so_far = 0;
    for (;;) {
      const double* costs = Row(row);
      const int through = column_of_[static_cast<size_t>(row)];
      const double base =
          through == kNone ? 0 : costs[through] - price_[static_cast<size_t>(through)] - so_far;
      size_t nearest = 0;
      for (size_t k = 0; k < open_.size(); ++k) {
        const auto column = static_cast<size_t>(open_[k]);
        const double reach = costs[column] - price_[column] - base;
        if (reach < distance_[column]) {
          distance_[column] = reach;
          from_[column] = row;
        }
        const auto best = static_cast<size_t>(open_[nearest]);
        if (distance_[column] < distance_[best] ||
            (distance_[column] == distance_[best] && row_of_[column] == kNone)) {
          nearest = k;
        }
      }
      const int column = open_[nearest];
      so_far = distance_[static_cast<size_t>(column)];
      open_[nearest] = open_.back();
      open_.pop_back();
      if (row_of_[static_cast<size_t>(column)] == kNone)
        return Follow(column, free_row, done, so_far);
      done.push_back(column);
      row = row_of_[static_cast<size_t>(column)];
    }
  }

  void Follow(int column, int free_row, const std::vector<int>& done, double length) {
    for (const int passed : done) {
      price_[static_cast<size_t>(passed)] += distance_[static_cast<size_t>(passed)] - length;
    }
    for (int row = kNone; row != free_row;) {
      row = from_[static_cast<size_t>(column)];
      const int next = column_of_[static_cast<size_t>(row)];
      Give(row, column);
      column = next;
    }
  }

  const size_t n_;
  const double slack_;
  std::vector<double> costs_, price_;
  std::vector<int> row_of_, column_of_, free_;
  std::vector<double> distance_;
  std::vector<int> from_, open_;
};

// Which rows can have a column at all, the earlier before the later: augmenting paths in their
// order (Kuhn 1955). A search that fails has shown that no later one can pass there, so all
// failures together look at each pair once.
class RowsWithColumns {
 public:
  explicit RowsWithColumns(const PairValues& values)
      : values_(values), row_of_(values.columns, kNone), seen_(values.columns, 0) {}

  std::vector<size_t> Find() {
    std::vector<size_t> rows;
    for (size_t row = 0; row < values_.rows; ++row) {
      passed_.clear();
      if (!Reach(static_cast<int>(row))) continue;  // What it has seen stays seen.
      rows.push_back(row);
      for (const size_t column : passed_) seen_[column] = 0;
    }
    return rows;
  }

 private:
  // Breadth first, so that deep chains need no deep stack.
  bool Reach(int first) {
    std::vector<int> queue = {first};
    std::vector<std::pair<size_t, int>> from;  // Column, and the row it was reached from.
    for (size_t next = 0; next < queue.size(); ++next) {
      const double* values = values_[static_cast<size_t>(queue[next])];
      for (size_t column = 0; column < values_.columns; ++column) {
        if (values[column] < 0 || seen_[column] != 0) continue;
        seen_[column] = 1;
        passed_.push_back(column);
        from.emplace_back(column, queue[next]);
        if (row_of_[column] != kNone) {
          queue.push_back(row_of_[column]);
          continue;
        }
        Flip(first, from);
        return true;
      }
    }
    return false;
  }

  void Flip(int first, const std::vector<std::pair<size_t, int>>& from) {
    size_t column = from.back().first;
    int row = from.back().second;
    for (;;) {
      size_t before = 0;
      while (before < values_.columns && row_of_[before] != row) ++before;
      row_of_[column] = row;
      if (row == first) return;
      column = before;
      row = std::find_if(from.begin(), from.end(), [&](const auto& f) {
              return f.first == column;
            })->second;
    }
  }

  const PairValues& values_;
  std::vector<int> row_of_;
  std::vector<char> seen_;
  std::vector<size_t> passed_;
};

double SlackOf(const PairValues& values, const std::vector<size_t>& rows) {
  if (values.columns <= kExactColumns || rows.empty()) return 0;
  std::vector<double> best;
  best.reserve(rows.size());
  for (const size_t row : rows) {
    best.push_back(*std::max_element(values[row], values[row] + values.columns));
  }
  const auto middle = best.begin() + static_cast<std::ptrdiff_t>(best.size() / 2);
  std::nth_element(best.begin(), middle, best.end());
  return kSlack * *middle;
}

}  // namespace

std::vector<int> Assign(const PairValues& values) {
  std::vector<int> assigned(values.rows, kUnassigned);
  if (values.rows == 0 || values.columns == 0) return assigned;
  const std::vector<size_t> rows = RowsWithColumns(values).Find();
  const double most =
      std::max(*std::max_element(values.values.begin(), values.values.end()), 1e-300);
  const double forbidden = static_cast<double>(rows.size()) + 1;  // Above all values together.
  JonkerVolgenant problem(values.columns, SlackOf(values, rows) / most);
  for (size_t i = 0; i < rows.size(); ++i) {
    const double* row = values[rows[i]];
    double* costs = problem[i];
    for (size_t column = 0; column < values.columns; ++column) {
      costs[column] = row[column] < 0 ? forbidden : 1 - row[column] / most;
    }
  }
  const std::vector<int>& columns = problem.Solve();
  for (size_t i = 0; i < rows.size(); ++i) assigned[rows[i]] = columns[i];
  return assigned;
}

}  // namespace fairlead::dispatch
