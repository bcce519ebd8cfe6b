#include "scheduler/quality/batch/aggregate_texts.h"

#include <algorithm>
#include <cstddef>
#include <numeric>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "scheduler/quality/batch/rover.h"
#include "scheduler/quality/batch/words.h"
#include "scheduler/quality/beta.h"
#include "scheduler/quality/edit_distance.h"

namespace fairlead::quality::batch {
namespace {

constexpr double kWordsOnAverage = 4;
constexpr double kLeastDistance = 0.02;
constexpr double kErrorStrength = 4;
constexpr double kErrorBeforehand = 0.15;  // Where there is no pair of answers to learn from.
constexpr int kRounds = 5;
constexpr size_t kVoters = 5;
constexpr int64_t kLeastGold = 20;
constexpr uint64_t kHalfSeed = 0x68616c66;

// The texts of a set as symbols, with what it takes to write a fused one.
struct Symbolised {
  bool by_words = false;
  std::vector<std::vector<Word>> words;       // [text]; empty unless by words.
  std::vector<std::vector<int32_t>> symbols;  // [text].
};

Symbolised Symbolise(absl::Span<const std::string> texts) {
  Symbolised set;
  WordNumbers numbers;
  size_t count = 0;
  for (const std::string& text : texts) {
    set.words.push_back(numbers.Split(text));
    count += set.words.back().size();
  }
  set.by_words = static_cast<double>(count) >= kWordsOnAverage * static_cast<double>(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    std::vector<int32_t>& symbols = set.symbols.emplace_back();
    if (set.by_words) {
      if (set.words[i].size() > kMaxSymbols) set.words[i].resize(kMaxSymbols);
      for (const Word& word : set.words[i]) symbols.push_back(word.number);
    } else {
      for (const uint64_t point : Symbols(absl::StripAsciiWhitespace(texts[i]), false)) {
        symbols.push_back(static_cast<int32_t>(point));
      }
    }
  }
  return set;
}

double Distance(const std::vector<int32_t>& a, const std::vector<int32_t>& b) {
  const size_t longer = std::max(a.size(), b.size());
  return longer == 0 ? 0 : static_cast<double>(EditDistance(a, b)) / static_cast<double>(longer);
}

// The mean distance behind a weight.
double ErrorOf(double weight) { return std::max(0.0, 1 / weight - kLeastDistance); }

// The reliability-weighted medoids of a set. Distances within a task are computed once.
class Medoids {
 public:
  Medoids(const LabelMatrix& answers, const Symbolised& set)
      : answers_(answers), set_(set), weight_(answers.contractors(), 1) {
    for (int task = 0; task < answers.tasks(); ++task) {
      const auto votes = answers.votes(task);
      begin_.push_back(distance_.size());
      for (size_t i = 0; i < votes.size(); ++i) {
        for (size_t j = 0; j < votes.size(); ++j) {
          distance_.push_back(j < i    ? distance_[begin_[task] + j * votes.size() + i]
                              : j == i ? 0
                                       : static_cast<float>(Distance(Of(votes[i]), Of(votes[j]))));
        }
      }
    }
  }

  // Chooses and weighs in turn. Gold stands in for the choice where it is known.
  void Fit(absl::Span<const int32_t> gold) {
    std::fill(weight_.begin(), weight_.end(), 1.0);
    for (int round = 0; round < kRounds; ++round) Weigh(gold);
  }

  // The places among the task's votes, the most central first. Ties: the more reliable author.
  std::vector<size_t> ByCentrality(int task) const {
    const auto votes = answers_.votes(task);
    std::vector<std::pair<double, double>> cost;
    for (size_t i = 0; i < votes.size(); ++i) {
      double sum = 0;
      for (size_t j = 0; j < votes.size(); ++j) sum += Weight(votes[j]) * Between(task, i, j);
      cost.emplace_back(sum, -Weight(votes[i]));
    }
    std::vector<size_t> order(votes.size());
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](size_t a, size_t b) { return cost[a] < cost[b]; });
    return order;
  }

  const std::vector<int32_t>& Of(const ClassVote& vote) const { return set_.symbols[vote.cls]; }
  double Weight(const ClassVote& vote) const { return weight_[vote.contractor]; }
  std::vector<double> Errors() const {
    std::vector<double> error;
    for (const double weight : weight_) error.push_back(ErrorOf(weight));
    return error;
  }

 private:
  double Between(int task, size_t i, size_t j) const {
    return distance_[begin_[task] + i * answers_.votes(task).size() + j];
  }

  void Weigh(absl::Span<const int32_t> gold) {
    std::vector<double> sum(weight_.size(), 0);
    std::vector<double> count(weight_.size(), 0);
    for (int task = 0; task < answers_.tasks(); ++task) {
      const auto votes = answers_.votes(task);
      if (votes.size() < 2 && gold[task] == kUnknown) continue;
      const size_t medoid = gold[task] == kUnknown ? ByCentrality(task)[0] : 0;
      for (size_t i = 0; i < votes.size(); ++i) {
        sum[votes[i].contractor] += gold[task] == kUnknown
                                        ? Between(task, i, medoid)
                                        : Distance(Of(votes[i]), set_.symbols[gold[task]]);
        count[votes[i].contractor] += 1;
      }
    }
    const double all = std::accumulate(count.begin(), count.end(), 0.0);
    const double crowd =
        all > 0 ? std::accumulate(sum.begin(), sum.end(), 0.0) / all : kErrorBeforehand;
    for (size_t w = 0; w < weight_.size(); ++w) {
      const double error = (sum[w] + kErrorStrength * crowd) / (count[w] + kErrorStrength);
      weight_[w] = 1 / (kLeastDistance + error);
    }
  }

  const LabelMatrix& answers_;
  const Symbolised& set_;
  std::vector<double> weight_;  // [contractor].
  std::vector<size_t> begin_;   // [task], into distance_.
  std::vector<float> distance_;
};

// A label and the symbols it is compared by.
struct Chosen {
  std::string text;
  std::vector<int32_t> symbols;
};

// The chosen words as they stood. A word that ended a text, or that stood before a line's end, gets
// a space after it.
std::string Write(const std::vector<ChosenWord>& chosen,
                  const std::vector<const std::vector<Word>*>& words) {
  std::string text;
  for (const ChosenWord& word : chosen) {
    absl::string_view surface = (*words[word.voter])[word.position].surface;
    const bool last = static_cast<size_t>(word.position) + 1 == words[word.voter]->size();
    const absl::string_view trimmed = absl::StripTrailingAsciiWhitespace(surface);
    absl::StrAppend(&text, trimmed, last || trimmed.size() < surface.size() ? " " : "");
  }
  return std::string(absl::StripAsciiWhitespace(text));
}

Chosen Fuse(const LabelMatrix& answers, absl::Span<const std::string> texts, const Symbolised& set,
            const Medoids& medoids, int task, bool rover) {
  const auto votes = answers.votes(task);
  const std::vector<size_t> order = medoids.ByCentrality(task);
  const ClassVote& medoid = votes[order[0]];
  Chosen answer = {texts[medoid.cls], medoids.Of(medoid)};
  if (!rover || !set.by_words || votes.size() < 3) return answer;
  std::vector<std::vector<int32_t>> voters;
  std::vector<const std::vector<Word>*> words;
  std::vector<double> weights;
  for (size_t i = 0; i < std::min(kVoters, order.size()); ++i) {
    const ClassVote& vote = votes[order[i]];
    if (medoids.Of(vote).size() == kMaxSymbols) return answer;  // Nobody's text is cut short.
    voters.push_back(medoids.Of(vote));
    words.push_back(&set.words[vote.cls]);
    weights.push_back(medoids.Weight(vote));
  }
  const std::vector<ChosenWord> chosen = VoteWords(voters, weights);
  Chosen fused;
  for (const ChosenWord& word : chosen) fused.symbols.push_back(word.number);
  for (size_t i = 0; i < voters.size(); ++i) {  // What somebody wrote stands as he wrote it.
    if (voters[i] == fused.symbols) return {texts[votes[order[i]].cls], fused.symbols};
  }
  fused.text = Write(chosen, words);
  return fused;
}

double StatedError(const LabelMatrix& answers, const Medoids& medoids, int task,
                   const Chosen& label) {
  double sum = 0;
  double weight = 0;
  for (const ClassVote& vote : answers.votes(task)) {
    sum += medoids.Weight(vote) * Distance(medoids.Of(vote), label.symbols);
    weight += medoids.Weight(vote);
  }
  // A single answer agrees with itself only: its author's error is all there is to say.
  if (answers.votes(task).size() < 2) return ErrorOf(weight);
  return sum / weight / 2;
}

// How much larger errors were than stated, over gold of which each half in turn was hidden.
double ErrorScale(const LabelMatrix& answers, absl::Span<const std::string> texts,
                  const Symbolised& set, Medoids& medoids, absl::Span<const int32_t> gold,
                  bool rover) {
  double real = kLeastDistance;
  double stated = kLeastDistance;
  for (uint64_t half = 0; half < 2; ++half) {
    const auto hidden = [&](int task) { return MixSeeds(kHalfSeed, task) % 2 == half; };
    std::vector<int32_t> shown(gold.begin(), gold.end());
    for (int task = 0; task < answers.tasks(); ++task) {
      if (hidden(task)) shown[task] = kUnknown;
    }
    medoids.Fit(shown);
    for (int task = 0; task < answers.tasks(); ++task) {
      if (gold[task] == kUnknown || !hidden(task) || answers.votes(task).empty()) continue;
      const Chosen label = Fuse(answers, texts, set, medoids, task, rover);
      real += Distance(label.symbols, set.symbols[gold[task]]);
      stated += StatedError(answers, medoids, task, label);
    }
  }
  return real / stated;
}

absl::Status Check(const LabelMatrix& answers, absl::Span<const std::string> texts,
                   absl::Span<const int32_t> gold) {
  if (texts.size() != static_cast<size_t>(answers.classes())) {
    return absl::InvalidArgumentError(
        absl::StrCat("texts: ", texts.size(), " for ", answers.classes(), " numbers"));
  }
  if (gold.size() != static_cast<size_t>(answers.tasks())) {
    return absl::InvalidArgumentError(
        absl::StrCat("gold: ", gold.size(), " entries for ", answers.tasks(), " tasks"));
  }
  for (size_t task = 0; task < gold.size(); ++task) {
    if (gold[task] >= kUnknown && gold[task] < answers.classes()) continue;
    return absl::InvalidArgumentError(absl::StrCat("gold[", task, "]: no such text"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<TextMethod> ParseTextMethod(absl::string_view name) {
  for (const TextMethod method : {TextMethod::kAuto, TextMethod::kMedoid, TextMethod::kRover}) {
    if (TextMethodName(method) == name) return method;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("no method '", name, "' for texts; there are: auto medoid rover"));
}

absl::string_view TextMethodName(TextMethod method) {
  switch (method) {
    case TextMethod::kMedoid:
      return "medoid";
    case TextMethod::kRover:
      return "rover";
    case TextMethod::kAuto:
      break;
  }
  return "auto";
}

absl::StatusOr<TextLabels> AggregateTexts(const LabelMatrix& answers,
                                          absl::Span<const std::string> texts,
                                          absl::Span<const int32_t> gold, TextMethod method) {
  if (absl::Status status = Check(answers, texts, gold); !status.ok()) return status;
  const Symbolised set = Symbolise(texts);
  const bool rover = set.by_words && method != TextMethod::kMedoid;
  TextLabels result;
  result.by_words = set.by_words;
  result.method = rover ? TextMethod::kRover : TextMethod::kMedoid;
  Medoids medoids(answers, set);
  int64_t known = 0;
  for (int task = 0; task < answers.tasks(); ++task) {
    known += gold[task] != kUnknown && !answers.votes(task).empty() ? 1 : 0;
  }
  result.calibrated_on_gold = known >= kLeastGold;
  const double scale =
      result.calibrated_on_gold ? ErrorScale(answers, texts, set, medoids, gold, rover) : 1;
  medoids.Fit(gold);
  for (int task = 0; task < answers.tasks(); ++task) {
    Chosen label;
    double confidence = 0;
    if (gold[task] != kUnknown) {
      label.text = texts[gold[task]];
      confidence = 1;
    } else if (!answers.votes(task).empty()) {
      label = Fuse(answers, texts, set, medoids, task, rover);
      confidence = std::clamp(1 - scale * StatedError(answers, medoids, task, label), 0.0, 1.0);
    }
    result.label.push_back(std::move(label.text));
    result.confidence.push_back(confidence);
  }
  result.error = medoids.Errors();
  return result;
}

}  // namespace fairlead::quality::batch
