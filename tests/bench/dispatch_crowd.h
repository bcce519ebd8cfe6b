// A crowd and its work for the dispatch benchmark: drawn by seed, of unequal skill, pace, pay and
// history, as the public crowd sets have them.
#pragma once

#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "scheduler/dispatch/free_index.h"
#include "scheduler/dispatch/matching.h"

namespace fairlead::bench {

class DispatchCrowd {
 public:
  DispatchCrowd(size_t contractors, uint32_t seed);

  size_t size() const { return people_.size(); }
  static std::string NameOf(size_t number);  // As long as an id: 26 characters.
  static size_t NumberOf(absl::string_view name);
  quality::ContractorScore ScoreOf(absl::string_view name, v1::TaskKind kind) const;
  dispatch::FreeIndex::Scores Scores() const;

  // Puts him into the index as free at `now_ms`.
  void Arrive(size_t number, int64_t now_ms, dispatch::FreeIndex& index) const;
  void ArriveAll(int64_t now_ms, dispatch::FreeIndex& index) const;
  // One more judged answer of his.
  void Answered(size_t number, v1::TaskKind kind, int64_t now_ms);

  // `count` tasks of six projects of unequal kinds, skills, pay and urgency, in turn.
  std::vector<dispatch::ReadyTask> Tasks(size_t count, int64_t now_ms);

 private:
  struct Person {
    quality::ContractorScore text, classes;
    int64_t last_offer_ms = 0;
    double skill = 0, min_pay_micros = 0, earned_micros = 0;
    bool latin = false, greek = false;
  };
  double Uniform(double from, double to) {
    return std::uniform_real_distribution<>(from, to)(rng_);
  }

  std::mt19937 rng_;
  std::vector<Person> people_;
  size_t next_task_ = 0;
};

}  // namespace fairlead::bench
