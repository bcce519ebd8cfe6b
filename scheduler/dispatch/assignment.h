// The best assignment of rows to columns, exactly. Pure; thread-safe.
#pragma once

#include <cstddef>
#include <vector>

namespace fairlead::dispatch {

// What each pair is worth, row by row; below 0: not allowed.
struct PairValues {
  PairValues(size_t row_count, size_t column_count)
      : rows(row_count), columns(column_count), values(row_count * column_count, -1) {}
  double* operator[](size_t row) { return values.data() + row * columns; }
  const double* operator[](size_t row) const { return values.data() + row * columns; }

  size_t rows, columns;
  std::vector<double> values;
};

inline constexpr int kUnassigned = -1;

// For each row its column or kUnassigned, each column at most once. As many rows as possible have
// one; where not all can, the earlier rows rather than the later; and among these ways the sum of
// the values is the greatest, to a millionth of the greatest value a row. Jonker & Volgenant
// (1987): column reduction, row reduction, shortest augmenting paths. O(n³) for n = max(rows,
// columns), in practice near O(n²) where columns are worth much the same to all rows. Memory 8 n²
// bytes.
std::vector<int> Assign(const PairValues& values);

}  // namespace fairlead::dispatch
