// How every contractor stands with every test of a skill, folded from the events: a test's gold
// answers from its submissions, and each answer judged at once, as Judge() does against gold.
// Nothing here that the record log does not hold, so a restart comes to the same (G7). Everything
// about one test is of one slot, whose events come in order.
//
// Gold that is retracted is no question any more: see qualification.h for what becomes of the
// takes. Of settings that change, those count that are in force when an answer is accepted.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "fairlead/store/v1/records.pb.h"
#include "fairlead/v1/resources.pb.h"
#include "scheduler/quality/qualification.h"
#include "scheduler/store/event_codec.h"

namespace fairlead::quality {

// One contractor in one test that he has begun.
struct TestStanding {
  std::string project;  // `{tenant}/{project}`: the test.
  std::string skill;
  TestRules rules;  // In force.
  Takes takes;      // At least one.
};

// Thread-safe.
class QualificationBook final : public store::EventSink {
 public:
  void Apply(const store::v1::Event& event, int64_t position) override;

  // Whether there is any test at all; without a lock.
  bool has_tests() const { return has_tests_.load(std::memory_order_acquire); }
  // Whether the project (`{tenant}/{project}`) is a test.
  bool IsTest(absl::string_view project) const;
  // Whether the tenant has a test of this skill, paused or not: then only passing one gives it.
  bool IsTested(absl::string_view tenant, absl::string_view skill) const;
  // The tests that he has begun, by project. O(his tests).
  std::vector<TestStanding> Of(absl::string_view contractor) const;
  // From when on he may be asked a question of the test: see qualification.h; kNever where it is
  // none.
  int64_t AskableFrom(absl::string_view contractor, absl::string_view project) const;
  // What an `annotated` event says about its author where it answers a question of a test.
  std::optional<store::v1::Evidence> EvidenceOf(const store::v1::Event& event) const;

 private:
  struct Question {
    uint32_t number = 0;
    v1::Answer gold;
  };
  struct Test {
    std::string skill;
    v1::AnswerSchema schema;
    TestRules rules;
    uint32_t next_number = 0;
    absl::flat_hash_map<std::string, Question> questions;  // By task.
  };

  void PutProject(const store::v1::ProjectRecord& record) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddQuestions(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void AddAnswerOf(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // O(contractors).
  void Retract(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  // The test and the question that an event is about; null where there is none.
  const Test* TestOf(const store::v1::Event& event, const Question** question) const
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  std::atomic<bool> has_tests_{false};
  mutable Mutex mu_;
  absl::flat_hash_map<std::string, Test> tests_ ABSL_GUARDED_BY(mu_);  // By project.
  // By contractor, then by project.
  absl::flat_hash_map<std::string, std::map<std::string, Takes, std::less<>>> takes_
      ABSL_GUARDED_BY(mu_);
};

}  // namespace fairlead::quality
