#include "scheduler/quality/qualification.h"

#include <algorithm>

namespace fairlead::quality {
namespace {

// So that 11 of 20 reach a mark of 0.55, whose product is a hair above 11.
constexpr double kSlack = 1e-9;

}  // namespace

TestRules RulesOf(const v1::QualificationTest& test) {
  TestRules rules;
  if (test.questions() > 0) rules.questions = test.questions();
  if (test.pass_mark() > 0) rules.pass_mark = test.pass_mark();
  if (test.has_retake_after()) {
    rules.retake_after_ms =
        test.retake_after().seconds() * 1000 + test.retake_after().nanos() / 1'000'000;
  }
  if (test.takes() > 0) rules.takes = test.takes();
  return rules;
}

int Take::right() const {
  return static_cast<int>(
      std::count_if(answers.begin(), answers.end(), [](const Answer& a) { return a.right; }));
}

v1::Qualification::State StateOf(const Take& take) {
  if (take.decide_ms == 0) return v1::Qualification::UNDER_WAY;
  const double needed = take.pass_mark * static_cast<double>(take.answers.size());
  return take.right() >= needed - kSlack ? v1::Qualification::PASSED : v1::Qualification::FAILED;
}

const Take* DecidingTake(const Takes& takes) {
  for (const Take& take : takes) {
    if (StateOf(take) == v1::Qualification::PASSED) return &take;
  }
  return takes.empty() ? nullptr : &takes.back();
}

bool HasPassed(const Takes& takes) {
  const Take* take = DecidingTake(takes);
  return take != nullptr && StateOf(*take) == v1::Qualification::PASSED;
}

int64_t AskableFrom(const Takes& takes, const TestRules& rules) {
  if (takes.empty()) return 0;
  if (HasPassed(takes)) return kNever;
  const Take& last = takes.back();
  if (last.decide_ms == 0) return 0;
  if (static_cast<int>(takes.size()) >= rules.takes) return kNever;
  return last.decide_ms + rules.retake_after_ms;
}

void AddAnswer(const TestRules& rules, Take::Answer answer, int64_t now_ms, Takes& takes) {
  if (AskableFrom(takes, rules) > now_ms) return;
  if (takes.empty() || takes.back().decide_ms != 0) {
    Take& fresh = takes.emplace_back();
    fresh.questions = rules.questions;
    fresh.pass_mark = rules.pass_mark;
  }
  Take& take = takes.back();
  take.answers.push_back(answer);
  if (static_cast<int>(take.answers.size()) >= take.questions) take.decide_ms = now_ms;
}

void RetractQuestion(uint32_t question, Takes& takes) {
  for (Take& take : takes) {
    std::erase_if(take.answers, [&](const Take::Answer& a) { return a.question == question; });
  }
  std::erase_if(takes, [](const Take& take) { return take.answers.empty(); });
}

}  // namespace fairlead::quality
