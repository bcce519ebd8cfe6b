#include "scheduler/cli/error_model.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "absl/random/distributions.h"
#include "absl/strings/ascii.h"

namespace fairlead::cli {
namespace {

constexpr double kSubstitute = 0.60;
constexpr double kDrop = 0.15;
constexpr double kInsert = 0.10;
constexpr double kFurtherError = 0.2;

// Characters that people take for each other.
constexpr absl::string_view kLookAlike[] = {"0O8D6", "1I7l", "2Z7", "3859", "49", "5S63", "6805",
                                            "712",   "8360", "94",  ".,",   ":;", "-_",   "/|"};

char Confuse(char c, absl::BitGenRef gen) {
  for (absl::string_view set : kLookAlike) {
    const size_t at = set.find(c);
    if (at != 0) continue;
    return set[absl::Uniform<size_t>(gen, 1, set.size())];
  }
  char other = c;
  while (other == c) {
    if (absl::ascii_isdigit(static_cast<unsigned char>(c))) {
      other = static_cast<char>('0' + absl::Uniform<int>(gen, 0, 10));
    } else if (absl::ascii_isupper(static_cast<unsigned char>(c))) {
      other = static_cast<char>('A' + absl::Uniform<int>(gen, 0, 26));
    } else {
      other = static_cast<char>('a' + absl::Uniform<int>(gen, 0, 26));
    }
  }
  return other;
}

// Starts of the UTF-8 characters of `text`.
std::vector<size_t> Starts(absl::string_view text) {
  std::vector<size_t> starts;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  return starts;
}

std::vector<std::string> Characters(absl::string_view text) {
  std::vector<std::string> characters;
  const std::vector<size_t> starts = Starts(text);
  for (size_t i = 0; i < starts.size(); ++i) {
    const size_t end = i + 1 < starts.size() ? starts[i + 1] : text.size();
    characters.emplace_back(text.substr(starts[i], end - starts[i]));
  }
  return characters;
}

void Err(std::vector<std::string>& characters, absl::BitGenRef gen) {
  const size_t at = absl::Uniform<size_t>(gen, 0, characters.size());
  const char near = characters[at].size() == 1 ? Confuse(characters[at][0], gen) : 'e';
  const double kind = absl::Uniform<double>(gen, 0, 1);
  if (kind < kSubstitute) {
    characters[at] = std::string(1, near);
  } else if (kind < kSubstitute + kDrop) {
    // A person who sees something types something: the last character is never dropped.
    if (characters.size() > 1) characters.erase(characters.begin() + static_cast<ptrdiff_t>(at));
  } else if (kind < kSubstitute + kDrop + kInsert) {
    characters.insert(characters.begin() + static_cast<ptrdiff_t>(at), characters[at]);
  } else if (at + 1 < characters.size()) {
    std::swap(characters[at], characters[at + 1]);
  }
}

std::string Join(const std::vector<std::string>& characters) {
  std::string text;
  for (const std::string& character : characters) text += character;
  return text;
}

void CorruptOrder(v1::Answer::Order& order, absl::BitGenRef gen) {
  const int count = order.best_first_size();
  if (count < 2) return;
  const int at = absl::Uniform<int>(gen, 0, count - 1);
  order.mutable_best_first()->SwapElements(at, at + 1);
}

}  // namespace

std::string CorruptText(absl::string_view truth, absl::BitGenRef gen) {
  if (truth.empty()) return "1";
  const std::vector<std::string> original = Characters(truth);
  std::vector<std::string> characters = original;
  do {
    Err(characters, gen);
  } while (Join(characters) == truth || absl::Bernoulli(gen, kFurtherError));
  const std::string text = Join(characters);
  // A further error may have undone the first.
  return text == truth ? text + text.back() : text;
}

v1::Answer CorruptAnswer(const v1::Answer& truth, const v1::AnswerSchema& schema,
                         absl::BitGenRef gen) {
  v1::Answer answer = truth;
  switch (truth.value_case()) {
    case v1::Answer::kText:
      answer.set_text(CorruptText(truth.text(), gen));
      break;
    case v1::Answer::kFreeText:
      answer.set_free_text(CorruptText(truth.free_text(), gen));
      break;
    case v1::Answer::kPreferred:
      answer.set_preferred(truth.preferred() == v1::Answer::SIDE_A ? v1::Answer::SIDE_B
                                                                   : v1::Answer::SIDE_A);
      break;
    case v1::Answer::kClassName: {
      std::vector<std::string> others(schema.classes().begin(), schema.classes().end());
      others.erase(std::remove(others.begin(), others.end(), truth.class_name()), others.end());
      if (!others.empty()) {
        answer.set_class_name(others[absl::Uniform<size_t>(gen, 0, others.size())]);
      }
      break;
    }
    case v1::Answer::kOrder:
      CorruptOrder(*answer.mutable_order(), gen);
      break;
    case v1::Answer::kRating: {
      const double spread = 0.25 * (schema.max_rating() - schema.min_rating());
      const double shift = absl::Bernoulli(gen, 0.5) ? spread : -spread;
      answer.set_rating(
          std::clamp(truth.rating() + shift, schema.min_rating(), schema.max_rating()));
      break;
    }
    case v1::Answer::kReview:
    case v1::Answer::VALUE_NOT_SET:
      break;
  }
  return answer;
}

double DrawAccuracy(double mean, double deviation, absl::BitGenRef gen) {
  if (deviation <= 0) return mean;
  const double variance = std::min(deviation * deviation, 0.9 * mean * (1 - mean));
  const double strength = mean * (1 - mean) / variance - 1;
  return absl::Beta<double>(gen, mean * strength, (1 - mean) * strength);
}

double DrawLogNormal(double median, double sigma, absl::BitGenRef gen) {
  return median * std::exp(absl::Gaussian<double>(gen, 0, sigma));
}

}  // namespace fairlead::cli
