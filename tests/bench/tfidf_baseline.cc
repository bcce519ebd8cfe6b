#include "tests/bench/tfidf_baseline.h"

#include <cctype>
#include <cmath>
#include <map>
#include <set>

namespace fairlead::bench {
namespace {

// Runs of two or more word characters, lower-cased: scikit-learn's default token_pattern.
std::vector<std::string> Tokens(const std::string& text) {
  std::vector<std::string> tokens;
  std::string token;
  for (const char c : text + " ") {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '_' || byte > 127) {
      token += static_cast<char>(std::tolower(byte));
    } else {
      if (token.size() >= 2) tokens.push_back(token);
      token.clear();
    }
  }
  return tokens;
}

double Dot(const std::vector<double>& a, const std::vector<double>& b) {
  double sum = 0;
  for (size_t i = 0; i < a.size(); ++i) sum += a[i] * b[i];
  return sum;
}

}  // namespace

TfidfLogistic::TfidfLogistic(const std::vector<std::pair<std::string, std::string>>& pairs) {
  std::vector<double> documents;
  double count = 0;
  for (const auto& pair : pairs) {
    for (const std::string* text : {&pair.first, &pair.second}) {
      count += 1;
      const std::vector<std::string> tokens = Tokens(*text);
      for (const std::string& token : std::set<std::string>(tokens.begin(), tokens.end())) {
        const auto at = column_.emplace(token, static_cast<uint32_t>(column_.size())).first;
        documents.resize(column_.size(), 0.0);
        documents[at->second] += 1;
      }
    }
  }
  for (const double with : documents) idf_.push_back(1 + std::log((1 + count) / (1 + with)));
  std::vector<Row> rows;
  for (const auto& pair : pairs) {
    std::map<uint32_t, double> difference;
    for (const auto& [column, value] : Vector(pair.first)) difference[column] += value;
    for (const auto& [column, value] : Vector(pair.second)) difference[column] -= value;
    rows.emplace_back(difference.begin(), difference.end());
  }
  weights_.assign(idf_.size(), 0.0);
  Fit(rows);
}

TfidfLogistic::Row TfidfLogistic::Vector(const std::string& text) const {
  std::map<uint32_t, double> counts;
  for (const std::string& token : Tokens(text)) {
    const auto at = column_.find(token);
    if (at != column_.end()) counts[at->second] += 1;
  }
  Row row;
  double squares = 0;
  for (const auto& [column, times] : counts) {
    row.emplace_back(column, times * idf_[column]);
    squares += row.back().second * row.back().second;
  }
  for (auto& entry : row) entry.second /= std::sqrt(squares);
  return row;
}

double TfidfLogistic::Margin(const std::string& a, const std::string& b) const {
  double margin = 0;
  for (const auto& [column, value] : Vector(a)) margin += weights_[column] * value;
  for (const auto& [column, value] : Vector(b)) margin -= weights_[column] * value;
  return margin;
}

// Newton steps, each solved by conjugate gradients, on Σ log(1 + e^−w·x) + |w|²/2.
void TfidfLogistic::Fit(const std::vector<Row>& rows) {
  const size_t columns = weights_.size();
  for (int newton = 0; newton < 12; ++newton) {
    std::vector<double> gradient = weights_, curvature(rows.size());
    for (size_t r = 0; r < rows.size(); ++r) {
      double margin = 0;
      for (const auto& [column, value] : rows[r]) margin += weights_[column] * value;
      const double p = 1 / (1 + std::exp(-margin));
      curvature[r] = p * (1 - p);
      for (const auto& [column, value] : rows[r]) gradient[column] += (p - 1) * value;
    }
    std::vector<double> step(columns, 0.0), residual(columns), direction(columns);
    for (size_t c = 0; c < columns; ++c) residual[c] = direction[c] = -gradient[c];
    double size = Dot(residual, residual);
    if (size < 1e-12) return;
    const double enough = size * 1e-6;
    for (int i = 0; i < 60 && size > enough; ++i) {
      std::vector<double> image = direction;
      for (size_t r = 0; r < rows.size(); ++r) {
        double along = 0;
        for (const auto& [column, value] : rows[r]) along += direction[column] * value;
        for (const auto& [column, value] : rows[r]) image[column] += curvature[r] * along * value;
      }
      const double length = size / Dot(direction, image);
      for (size_t c = 0; c < columns; ++c) {
        step[c] += length * direction[c];
        residual[c] -= length * image[c];
      }
      const double next = Dot(residual, residual);
      for (size_t c = 0; c < columns; ++c) {
        direction[c] = residual[c] + next / size * direction[c];
      }
      size = next;
    }
    for (size_t c = 0; c < columns; ++c) weights_[c] += step[c];
  }
}

}  // namespace fairlead::bench
