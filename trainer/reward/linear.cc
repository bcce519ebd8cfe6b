#include "trainer/reward/linear.h"

#include <algorithm>
#include <cmath>
#include <deque>
#include <utility>

#include "trainer/reward/losses.h"

namespace fairlead::trainer {
namespace {

constexpr size_t kMemory = 6;
constexpr double kTolerance = 5e-3;
constexpr uint32_t kNoColumn = UINT32_MAX;

using Vector = std::vector<double>;

double Product(const Vector& a, const Vector& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

class Objective {
 public:
  Objective(const DesignMatrix& matrix, const std::vector<size_t>& rows,
            const LinearFitOptions& options)
      : matrix_(matrix), rows_(rows), options_(options) {}

  double Strength(size_t c) const {
    return options_.strength *
           (options_.column_strength.empty() ? 1.0 : options_.column_strength[c]);
  }

  // A bound on the curvature along each weight: σ' is at most 1/4.
  Vector Diagonal() const {
    Vector squares(matrix_.buckets().size(), 0.0);
    for (const size_t row : rows_) {
      matrix_.AddSquares(row, matrix_.item(row).weight / 4, absl::MakeSpan(squares));
    }
    for (size_t c = 0; c < squares.size(); ++c) squares[c] += Strength(c);
    return squares;
  }

  double At(const Vector& weights, Vector& gradient) {
    double loss = 0;
    for (size_t c = 0; c < weights.size(); ++c) {
      const double strength = Strength(c);
      loss += strength / 2 * weights[c] * weights[c];
      gradient[c] = strength * weights[c];
    }
    for (const size_t row : rows_) {
      const PreferenceItem& item = matrix_.item(row);
      matrix_.Scores(row, weights, scores_);
      slopes_.assign(scores_.size(), 0.0);
      loss += item.weight *
              ItemLoss(item, options_.smoothing, scores_, item.weight, absl::MakeSpan(slopes_));
      matrix_.AddGradient(row, slopes_, absl::MakeSpan(gradient));
    }
    return loss;
  }

 private:
  const DesignMatrix& matrix_;
  const std::vector<size_t>& rows_;
  const LinearFitOptions& options_;
  Vector scores_, slopes_;
};

struct Correction {
  Vector step, change;
  double scale;  // 1 / (step · change)
};

// −H⁻¹ · gradient by the two-loop recursion (Nocedal 1980), from a diagonal first guess of H.
Vector Direction(const std::deque<Correction>& memory, const Vector& diagonal,
                 const Vector& gradient) {
  Vector direction = gradient;
  std::vector<double> alphas(memory.size());
  for (size_t i = memory.size(); i-- > 0;) {
    alphas[i] = memory[i].scale * Product(memory[i].step, direction);
    for (size_t c = 0; c < direction.size(); ++c) direction[c] -= alphas[i] * memory[i].change[c];
  }
  double scale = 1;
  if (!memory.empty()) {
    const Correction& last = memory.back();
    double along = 0;  // change · diagonal⁻¹ · change
    for (size_t c = 0; c < direction.size(); ++c) {
      along += last.change[c] * last.change[c] / diagonal[c];
    }
    scale = 1 / (last.scale * along);
  }
  for (size_t c = 0; c < direction.size(); ++c) direction[c] *= scale / diagonal[c];
  for (size_t i = 0; i < memory.size(); ++i) {
    const double beta = memory[i].scale * Product(memory[i].change, direction);
    for (size_t c = 0; c < direction.size(); ++c) {
      direction[c] += (alphas[i] - beta) * memory[i].step[c];
    }
  }
  for (double& value : direction) value = -value;
  return direction;
}

}  // namespace

double Dot(absl::Span<const float> weights, const SparseVector& vector) {
  double sum = 0;
  for (const auto& [bucket, value] : vector) sum += static_cast<double>(weights[bucket]) * value;
  return sum;
}

double ItemLoss(const PreferenceItem& item, double smoothing, absl::Span<const double> scores,
                double weight, absl::Span<double> gradient) {
  if (item.safe.has_value()) {
    const double target = SmoothTarget(*item.safe ? 1 : 0, smoothing);
    gradient[0] += weight * (Sigmoid(scores[0]) - target);
    return LogisticLoss(scores[0], target);
  }
  if (!item.ranking.empty()) return PlackettLuceLoss(scores, item.ranking, weight, gradient);
  double loss = 0;
  const double share = 1.0 / static_cast<double>(item.comparisons.size());
  for (const Comparison& pair : item.comparisons) {
    const double margin = scores[pair.a] - scores[pair.b];
    const double target = SmoothTarget(pair.preference_a, smoothing);
    const double slope = weight * share * (Sigmoid(margin) - target);
    loss += share * LogisticLoss(margin, target);
    gradient[pair.a] += slope;
    gradient[pair.b] -= slope;
  }
  return loss;
}

DesignMatrix::DesignMatrix(const std::vector<const PreferenceItem*>& items,
                           const TextFeatures& features)
    : items_(items) {
  std::vector<uint32_t> column_of(features.buckets(), 0);
  for (const PreferenceItem* item : items_) {
    first_row_.push_back(row_begin_.size());
    for (const std::string& response : item->responses) {
      row_begin_.push_back(columns_.size());
      for (const auto& [bucket, value] : features.Of(item->prompt, response)) {
        ++column_of[bucket];
        columns_.push_back(bucket);
        values_.push_back(value);
      }
    }
  }
  first_row_.push_back(row_begin_.size());
  row_begin_.push_back(columns_.size());
  for (uint32_t bucket = 0; bucket < column_of.size(); ++bucket) {
    const bool kept = column_of[bucket] > 1;
    column_of[bucket] = kept ? static_cast<uint32_t>(buckets_.size()) : kNoColumn;
    if (kept) buckets_.push_back(bucket);
  }
  size_t end = 0, row = 0;
  for (size_t k = 0; k < columns_.size(); ++k) {
    for (; row < row_begin_.size() && row_begin_[row] == k; ++row) row_begin_[row] = end;
    const uint32_t column = column_of[columns_[k]];
    if (column == kNoColumn) continue;
    columns_[end] = column;
    values_[end++] = values_[k];
  }
  for (; row < row_begin_.size(); ++row) row_begin_[row] = end;
  columns_.resize(end);
  values_.resize(end);
}

void DesignMatrix::Scores(size_t i, absl::Span<const double> weights,
                          std::vector<double>& scores) const {
  scores.clear();
  for (size_t row = first_row_[i]; row < first_row_[i + 1]; ++row) {
    double sum = 0;
    for (size_t k = row_begin_[row]; k < row_begin_[row + 1]; ++k) {
      sum += weights[columns_[k]] * values_[k];
    }
    scores.push_back(sum);
  }
}

void DesignMatrix::AddGradient(size_t i, absl::Span<const double> slopes,
                               absl::Span<double> gradient) const {
  for (size_t row = first_row_[i]; row < first_row_[i + 1]; ++row) {
    const double slope = slopes[row - first_row_[i]];
    if (slope == 0) continue;
    for (size_t k = row_begin_[row]; k < row_begin_[row + 1]; ++k) {
      gradient[columns_[k]] += slope * values_[k];
    }
  }
}

void DesignMatrix::AddSquares(size_t i, double weight, absl::Span<double> squares) const {
  const size_t end = row_begin_[first_row_[i + 1]];
  for (size_t k = row_begin_[first_row_[i]]; k < end; ++k) {
    squares[columns_[k]] += weight * values_[k] * values_[k];
  }
}

std::vector<double> FitLinear(const DesignMatrix& matrix, const std::vector<size_t>& rows,
                              const LinearFitOptions& options, std::vector<double> start) {
  const size_t columns = matrix.buckets().size();
  Objective objective(matrix, rows, options);
  Vector gradient(columns), next_gradient(columns);
  const Vector diagonal = objective.Diagonal();
  objective.At(Vector(columns, 0.0), gradient);
  const double enough = kTolerance * std::sqrt(Product(gradient, gradient));
  Vector weights = start.empty() ? Vector(columns, 0.0) : std::move(start);
  double loss = objective.At(weights, gradient);
  std::deque<Correction> memory;
  for (int step = 0; step < options.max_steps; ++step) {
    if (std::sqrt(Product(gradient, gradient)) <= enough) break;
    const Vector direction = Direction(memory, diagonal, gradient);
    const double slope = Product(direction, gradient);
    if (!(slope < 0)) break;
    double length = 1.0;
    Vector next(columns);
    double next_loss = 0;
    bool lower = false;
    for (int halving = 0; halving < 40 && !lower; ++halving, length /= 2) {
      for (size_t c = 0; c < columns; ++c) next[c] = weights[c] + length * direction[c];
      next_loss = objective.At(next, next_gradient);
      lower = next_loss <= loss + 1e-4 * length * slope;
    }
    if (!lower) break;
    Correction correction;
    correction.step.resize(columns);
    correction.change.resize(columns);
    for (size_t c = 0; c < columns; ++c) {
      correction.step[c] = next[c] - weights[c];
      correction.change[c] = next_gradient[c] - gradient[c];
    }
    const double curvature = Product(correction.step, correction.change);
    if (curvature > 0) {
      correction.scale = 1 / curvature;
      memory.push_back(std::move(correction));
      if (memory.size() > kMemory) memory.pop_front();
    }
    weights.swap(next);
    gradient.swap(next_gradient);
    loss = next_loss;
  }
  return weights;
}

}  // namespace fairlead::trainer
