// fairlead-bench-dispatch: how fast and how well a choice is made among 1,000 to 1,000,000 free
// contractors, by the index and the matcher that the scheduler runs.
#include <algorithm>
#include <cstdio>
#include <ctime>
#include <deque>
#include <iostream>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>
#include "absl/strings/str_cat.h"
#include "scheduler/dispatch/match_round.h"
#include "scheduler/dispatch/matching.h"
#include "tests/bench/dispatch_crowd.h"
#include "tests/bench/marks.h"

namespace fairlead::bench {
namespace {

constexpr int64_t kStartMs = 1'800'000'000'000;
constexpr int64_t kOfferWindowMs = 60'000;
constexpr uint64_t kSeed = 20'261'127;
constexpr size_t kRound = 256;  // Tasks a round, as the dispatcher takes them.
constexpr int64_t kRoundMs = 20;
constexpr size_t kSingles = 20'000;
constexpr double kMostBytes = 120;
constexpr double kLeastRate = 50'000;  // Decisions a second at 30,000 contractors.
constexpr double kMostSlowdown = 2;    // At 1,000,000 of them.
constexpr double kLeastShare = 98.5;   // Per cent of the exact value.

double ThreadSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

struct Busy {
  size_t number;
  v1::TaskKind kind;
};

// A crowd at work: rounds of tasks, whoever is chosen is away for some rounds.
class Shift {
 public:
  explicit Shift(size_t contractors)
      : crowd_(contractors, 1),
        index_(policy_, kSeed, kOfferWindowMs, crowd_.Scores()),
        away_(std::max<size_t>(contractors / 2 / kRound, 1)) {
    crowd_.ArriveAll(now_ms_, index_);
  }

  // Seconds of choosing, of the index's upkeep included; the work itself is made outside.
  double Round(size_t tasks, size_t* decisions) {
    now_ms_ += tasks == 1 ? 1 : kRoundMs;
    const std::vector<dispatch::ReadyTask> ready = crowd_.Tasks(tasks, now_ms_);
    std::vector<Busy> back;
    if (!busy_.empty() && busy_.size() >= away_ * kRound) {
      const size_t n = std::min(busy_.size(), tasks);
      back.assign(busy_.begin(), busy_.begin() + static_cast<std::ptrdiff_t>(n));
      busy_.erase(busy_.begin(), busy_.begin() + static_cast<std::ptrdiff_t>(n));
    }
    for (const Busy& one : back) crowd_.Answered(one.number, one.kind, now_ms_);
    const double start = ThreadSeconds();
    for (const Busy& one : back) crowd_.Arrive(one.number, now_ms_, index_);
    const std::vector<dispatch::Choice> choices =
        dispatch::Match(ready, policy_, ++seed_, static_cast<int>(tasks), now_ms_, index_);
    const double seconds = ThreadSeconds() - start;
    for (const dispatch::Choice& choice : choices) {
      busy_.push_back({DispatchCrowd::NumberOf(choice.contractor), ready[0].kind});
    }
    *decisions += choices.size();
    return seconds;
  }

  const dispatch::FreeIndex& index() const { return index_; }

 private:
  const dispatch::Policy policy_ = dispatch::DefaultPolicy();
  DispatchCrowd crowd_;
  dispatch::FreeIndex index_;
  const size_t away_;  // Rounds.
  std::deque<Busy> busy_;
  int64_t now_ms_ = kStartMs;
  uint64_t seed_ = kSeed;
};

// Decisions a second of one core.
double MeasureSpeed(size_t contractors, size_t rounds, Marks& marks) {
  const std::string name = absl::StrCat("contractors.", contractors);
  Shift shift(contractors);
  size_t decisions = 0;
  for (size_t i = 0; i < rounds / 4; ++i) shift.Round(kRound, &decisions);
  decisions = 0;
  double seconds = 0;
  for (size_t i = 0; i < rounds; ++i) seconds += shift.Round(kRound, &decisions);
  const double rate = static_cast<double>(decisions) / seconds;
  if (contractors == 30'000) {
    marks.Check(name, "rounds of 256", rate, "1/s", ">= 50,000 a core", rate >= kLeastRate);
  } else {
    marks.Figure(name, "rounds of 256", rate, "1/s");
  }
  std::vector<double> micros;
  for (size_t i = 0; i < kSingles; ++i) {
    size_t made = 0;
    micros.push_back(shift.Round(1, &made) * 1e6);
  }
  std::sort(micros.begin(), micros.end());
  marks.Figure(name, "one task, p50", micros[kSingles / 2], "us");
  marks.Figure(name, "one task, p99", micros[kSingles * 99 / 100], "us");
  const auto bytes = static_cast<double>(shift.index().bytes());
  marks.Figure(name, "index", bytes / 1e6, "MB");
  marks.Figure(name, "buckets", static_cast<double>(shift.index().buckets()), "");
  return rate;
}

void MeasureSize(size_t contractors, Marks& marks) {
  const std::string name = absl::StrCat("contractors.", contractors);
  const DispatchCrowd crowd(contractors, 2);
  dispatch::FreeIndex index(dispatch::DefaultPolicy(), kSeed, kOfferWindowMs, crowd.Scores());
  crowd.ArriveAll(kStartMs, index);
  index.BucketFor({v1::TASK_KIND_CLASS, 4, false, 30'000, {}}, kStartMs);
  const auto people = static_cast<double>(contractors);
  const double one = static_cast<double>(index.bytes()) / people;
  index.BucketFor({v1::TASK_KIND_IMAGE_TEXT, 20, false, 50'000, {}}, kStartMs);
  const double two = static_cast<double>(index.bytes()) / people;
  // The levels' heads are a fixed cost that a thousand entries do not carry.
  if (contractors < 30'000) return;
  marks.Check(name, "an entry, in one bucket", one, "bytes", "<= 120", one <= kMostBytes);
  marks.Figure(name, "each bucket more", two - one, "bytes");
}

// Hungarian algorithm with potentials (Kuhn 1955; Munkres 1957), row by row: the yardstick, which
// shares nothing with the scheduler's own. Returns the greatest sum; rows <= columns.
double ExactValue(const std::vector<std::vector<double>>& values) {
  constexpr double kForbidden = 1e6;
  const size_t rows = values.size(), columns = values[0].size();
  std::vector<double> u(rows + 1, 0), v(columns + 1, 0);
  std::vector<size_t> row_of(columns + 1, 0), way(columns + 1, 0);
  const auto cost = [&](size_t row, size_t column) {
    const double value = values[row - 1][column - 1];
    return value < 0 ? kForbidden : -value;
  };
  for (size_t row = 1; row <= rows; ++row) {
    row_of[0] = row;
    size_t column = 0;
    std::vector<double> least(columns + 1, 1e300);
    std::vector<char> used(columns + 1, 0);
    do {
      used[column] = 1;
      const size_t from = row_of[column];
      double delta = 1e300;
      size_t next = 0;
      for (size_t j = 1; j <= columns; ++j) {
        if (used[j] != 0) continue;
        const double reduced = cost(from, j) - u[from] - v[j];
        if (reduced < least[j]) {
          least[j] = reduced;
          way[j] = column;
        }
        if (least[j] < delta) {
          delta = least[j];
          next = j;
        }
      }
      for (size_t j = 0; j <= columns; ++j) {
        if (used[j] != 0) {
          u[row_of[j]] += delta;
          v[j] -= delta;
        } else {
          least[j] -= delta;
        }
      }
      column = next;
    } while (row_of[column] != 0);
    for (; column != 0; column = way[column]) row_of[column] = row_of[way[column]];
  }
  double sum = 0;
  for (size_t j = 1; j <= columns; ++j) {
    if (row_of[j] != 0) sum += std::max(values[row_of[j] - 1][j - 1], 0.0);
  }
  return sum;
}

// The sum of the indices of a window's choices against the greatest there is. Without floors: a
// kept place counts a thousandfold and would drown the rest.
void MeasureValue(size_t places, size_t contractors, Marks& marks) {
  dispatch::Policy policy;
  policy.newcomer_share = policy.waiting_share = 0;
  double ours = 0, exact = 0, seconds = 0;
  const size_t windows = places * contractors > 500'000 ? 1 : 4;
  for (size_t window = 0; window < windows; ++window) {
    DispatchCrowd crowd(contractors, 10 + static_cast<uint32_t>(window));
    dispatch::FreeIndex index(policy, kSeed, kOfferWindowMs, crowd.Scores());
    crowd.ArriveAll(kStartMs, index);
    const std::vector<dispatch::ReadyTask> tasks = crowd.Tasks(places, kStartMs);
    std::vector<std::vector<double>> values(places, std::vector<double>(contractors, -1));
    dispatch::MatchRound round(tasks, policy, kSeed, kStartMs, index);
    for (size_t row = 0; row < places; ++row) {
      const dispatch::Place& place = round.places()[row];
      for (dispatch::Slot slot = 0; slot < contractors; ++slot) {
        if (!dispatch::FreeIndex::In(*place.bucket, slot) || round.Had(place, slot)) continue;
        values[row][slot] = round.Weigh(place, slot).index;
      }
    }
    exact += ExactValue(values);
    const double start = ThreadSeconds();
    for (const dispatch::Choice& choice :
         dispatch::Match(tasks, policy, kSeed, static_cast<int>(places), kStartMs, index)) {
      const size_t row = DispatchCrowd::NumberOf(choice.task.substr(1));
      // Nobody left or came, so slots are numbers.
      ours += values[row][DispatchCrowd::NumberOf(choice.contractor)];
    }
    seconds += ThreadSeconds() - start;
  }
  const std::string name = absl::StrCat("window.", places, "x", contractors);
  const double share = 100 * ours / exact;
  marks.Check(name, "value of exact matching", share, "%", ">= 98.5", share >= kLeastShare);
  marks.Figure(name, "a window", seconds * 1e3 / static_cast<double>(windows), "ms");
}

int Main(int argc, char** argv) {
  CLI::App app(
      "Measures the choice of contractors: speed with 1,000, 30,000 and 1,000,000 free ones, size "
      "of the index, and value against exact matching.\n"
      "Example: fairlead-bench-dispatch --json dispatch.json",
      "fairlead-bench-dispatch");
  std::string json, only;
  app.add_option("--json", json, "Write one JSON object a line to this file");
  app.add_option("--only", only, "speed, size or value")
      ->check(CLI::IsMember({"speed", "size", "value"}));
  CLI11_PARSE(app, argc, argv);
  Marks marks("dispatch");
  if (only.empty() || only == "speed") {
    MeasureSpeed(1'000, 200, marks);
    const double middle = MeasureSpeed(30'000, 400, marks);
    const double most = MeasureSpeed(1'000'000, 400, marks);
    marks.Check("contractors.1000000", "slower than with 30,000", middle / most, "times", "< 2",
                middle / most < kMostSlowdown);
  }
  if (only.empty() || only == "size") {
    MeasureSize(30'000, marks);
    MeasureSize(1'000'000, marks);
  }
  if (only.empty() || only == "value") {
    for (const size_t places : {200, 500, 1'000}) {
      MeasureValue(places, places, marks);
      MeasureValue(places, 2 * places, marks);
    }
    MeasureValue(200, 30'000, marks);
  }
  const bool met = marks.Print();
  if (!json.empty()) {
    if (const absl::Status written = marks.WriteJson(json); !written.ok()) {
      std::cerr << written << "\n";
      return 2;
    }
  }
  return met ? 0 : 1;
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
