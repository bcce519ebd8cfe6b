// What tests of skills (quality/qualification.h) mean for who is offered what. The index knows
// skills as words: those that a contractor names, `tenant/skill` for one that he has proven to a
// tenant, and `!tenant/project` for a test of which he may not be asked a question now. Thread-
// compatible: the dispatcher's.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "scheduler/dispatch/matching.h"
#include "scheduler/dispatch/task_view.h"
#include "scheduler/quality/qualification_book.h"

namespace fairlead::dispatch {

class SkillTests {
 public:
  // Places of a question, and questions of a test, that a round looks at: a contractor gets one of
  // them, and a question knows up to thousands who had it.
  static constexpr int kPlacesARound = 4;
  static constexpr int kQuestionsARound = 8;

  SkillTests(const quality::QualificationBook* book, TaskView* view) : book_(book), view_(view) {}

  // Counts as changed in the view whoever may begin another take by now.
  void TouchDue(int64_t now_ms);
  // Adds to the skills that a contractor names what tests say of him. O(his tests).
  void AddTo(const std::string& contractor, int64_t now_ms, std::vector<std::string>& skills);
  // Who may be offered the tasks of a project: into `task`.
  void SetTerms(const store::v1::ProjectRecord& project, ReadyTask& task) const;
  // Whether he may be asked a question of the test: by its rules, and while he has none in hand
  // that the view knows of, for a take is of so many answers.
  bool MayBeAsked(const std::string& contractor, absl::string_view test, int64_t now_ms) const;
  bool IsTest(absl::string_view project) const { return book_->IsTest(project); }

 private:
  const quality::QualificationBook* const book_;
  TaskView* const view_;
  std::set<std::pair<int64_t, std::string>> due_;  // When, who.
};

}  // namespace fairlead::dispatch
