#include "scheduler/quality/qualification_book.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "scheduler/quality/aggregation.h"

namespace fairlead::quality {
namespace {

store::v1::Evidence JudgeOne(const v1::AnswerSchema& schema,
                             const store::v1::AnnotationRecord& record, const v1::Answer& gold) {
  const std::vector<store::v1::Evidence> judged =
      Judge(schema, {{record.contractor(), record.answer()}}, std::nullopt, &gold);
  return judged.empty() ? store::v1::Evidence() : judged.front();
}

}  // namespace

void QualificationBook::PutProject(const store::v1::ProjectRecord& record) {
  if (!record.settings().has_qualification()) return;
  Test& test = tests_[record.project()];
  test.skill = record.settings().qualification().skill();
  test.schema = record.settings().answer_schema();
  test.rules = RulesOf(record.settings().qualification());
  has_tests_.store(true, std::memory_order_release);
}

void QualificationBook::AddQuestions(const store::v1::Event& event) {
  const auto test = tests_.find(event.project());
  if (test == tests_.end()) return;
  for (const store::v1::TaskRecord& task : event.tasks_submitted().tasks()) {
    if (!task.has_gold()) continue;
    test->second.questions[task.task()] = {test->second.next_number++, task.gold()};
  }
}

const QualificationBook::Test* QualificationBook::TestOf(const store::v1::Event& event,
                                                         const Question** question) const {
  const auto test = tests_.find(event.project());
  if (test == tests_.end()) return nullptr;
  const auto found = test->second.questions.find(event.key());
  if (found == test->second.questions.end()) return nullptr;
  *question = &found->second;
  return &test->second;
}

void QualificationBook::AddAnswerOf(const store::v1::Event& event) {
  const Question* question = nullptr;
  const Test* test = TestOf(event, &question);
  if (test == nullptr) return;
  const store::v1::AnnotationRecord& record = event.annotated();
  const bool right = JudgeOne(test->schema, record, question->gold).right() >= 0.5;
  AddAnswer(test->rules, {question->number, right}, event.time_ms(),
            takes_[record.contractor()][event.project()]);
}

void QualificationBook::Retract(const store::v1::Event& event) {
  const auto test = tests_.find(event.project());
  if (test == tests_.end()) return;
  const auto question = test->second.questions.find(event.key());
  if (question == test->second.questions.end()) return;
  for (auto& [contractor, tests] : takes_) {
    const auto his = tests.find(event.project());
    if (his != tests.end()) RetractQuestion(question->second.number, his->second);
  }
  test->second.questions.erase(question);
}

void QualificationBook::Apply(const store::v1::Event& event, int64_t) {
  if (!event.has_project_put() && !event.has_tasks_submitted() && !event.has_annotated() &&
      !event.has_gold_retracted()) {
    return;
  }
  MutexLock lock(&mu_);
  if (event.has_project_put()) {
    PutProject(event.project_put());
  } else if (event.has_tasks_submitted()) {
    AddQuestions(event);
  } else if (event.has_gold_retracted()) {
    Retract(event);
  } else {
    AddAnswerOf(event);
  }
}

bool QualificationBook::IsTest(absl::string_view project) const {
  if (!has_tests()) return false;
  MutexLock lock(&mu_);
  return tests_.contains(project);
}

bool QualificationBook::IsTested(absl::string_view tenant, absl::string_view skill) const {
  if (!has_tests()) return false;
  const std::string prefix = absl::StrCat(tenant, "/");
  MutexLock lock(&mu_);
  for (const auto& [project, test] : tests_) {
    if (test.skill == skill && absl::StartsWith(project, prefix)) return true;
  }
  return false;
}

std::vector<TestStanding> QualificationBook::Of(absl::string_view contractor) const {
  std::vector<TestStanding> standings;
  if (!has_tests()) return standings;
  MutexLock lock(&mu_);
  const auto found = takes_.find(contractor);
  if (found == takes_.end()) return standings;
  for (const auto& [project, takes] : found->second) {
    const Test& test = tests_.at(project);
    if (!takes.empty()) standings.push_back({project, test.skill, test.rules, takes});
  }
  return standings;
}

int64_t QualificationBook::AskableFrom(absl::string_view contractor,
                                       absl::string_view project) const {
  MutexLock lock(&mu_);
  const auto test = tests_.find(project);
  if (test == tests_.end()) return kNever;
  const auto his = takes_.find(contractor);
  if (his == takes_.end()) return 0;
  const auto takes = his->second.find(project);
  return takes == his->second.end() ? 0 : quality::AskableFrom(takes->second, test->second.rules);
}

std::optional<store::v1::Evidence> QualificationBook::EvidenceOf(
    const store::v1::Event& event) const {
  if (!event.has_annotated() || !has_tests()) return std::nullopt;
  MutexLock lock(&mu_);
  const Question* question = nullptr;
  const Test* test = TestOf(event, &question);
  if (test == nullptr) return std::nullopt;
  return JudgeOne(test->schema, event.annotated(), question->gold);
}

}  // namespace fairlead::quality
