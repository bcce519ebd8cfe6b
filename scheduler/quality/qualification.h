// The rules of a test of a skill (resources.proto: QualificationTest): when a contractor may be
// asked a question, and what his answers make of him. Pure; thread-safe.
//
// A take is as many answers as the test asks questions, in the order in which they are accepted.
// With the last of them it is decided: passed where right / answers reaches the pass mark. Who has
// passed is asked no more; who has failed begins another take once retake_after has gone by since,
// until he has had all his takes. The number of questions and the mark of a take are those in force
// when it began. An answer that comes while he may not be asked (late, after the take was decided)
// counts in none.
//
// A question that is retracted counts no longer: a take under way asks one more instead, a decided
// take is judged by the answers that are left, at the time at which it was decided, so one that
// failed may be passed then, or the other way round. One of which nothing is left was never taken.
#pragma once

#include <cstdint>
#include <limits>
#include <vector>

#include "fairlead/v1/resources.pb.h"

namespace fairlead::quality {

struct TestRules {
  int questions = 10;  // Of a take.
  double pass_mark = 0.8;
  int64_t retake_after_ms = 7LL * 86'400'000;
  int takes = 2;  // At most.
};

// The rules of a test with the defaults of resources.proto applied.
TestRules RulesOf(const v1::QualificationTest& test);

struct Take {
  struct Answer {
    uint32_t question = 0;  // Any number that the caller gives it.
    bool right = false;
  };
  int questions = 0;
  double pass_mark = 0;
  std::vector<Answer> answers;  // Those that count.
  int64_t decide_ms = 0;        // 0: under way.

  int right() const;
};

// Of one contractor in one test, oldest first.
using Takes = std::vector<Take>;

v1::Qualification::State StateOf(const Take& take);

// The take that says how he stands: the one passed, else the last; null without any.
const Take* DecidingTake(const Takes& takes);
bool HasPassed(const Takes& takes);

// From when on he may be asked a question; kNever where he has passed or has had all his takes.
inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();
int64_t AskableFrom(const Takes& takes, const TestRules& rules);

// Folds the answer to one question, accepted at now_ms. A contractor answers a question once.
void AddAnswer(const TestRules& rules, Take::Answer answer, int64_t now_ms, Takes& takes);

// Takes a question out. O(answers).
void RetractQuestion(uint32_t question, Takes& takes);

}  // namespace fairlead::quality
