// The rival: logistic regression on the difference of two TF–IDF unigram vectors, as scikit-learn's
// TfidfVectorizer() and LogisticRegression(C = 1, no intercept) compute it. Shares no code with the
// trainer.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

namespace fairlead::bench {

class TfidfLogistic {
 public:
  // Fits on (chosen, rejected).
  explicit TfidfLogistic(const std::vector<std::pair<std::string, std::string>>& pairs);

  // Log-odds that `a` is better than `b`.
  double Margin(const std::string& a, const std::string& b) const;

 private:
  using Row = std::vector<std::pair<uint32_t, double>>;  // By column.
  Row Vector(const std::string& text) const;
  void Fit(const std::vector<Row>& rows);

  std::unordered_map<std::string, uint32_t> column_;
  std::vector<double> idf_, weights_;
};

}  // namespace fairlead::bench
