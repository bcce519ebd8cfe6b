// What the tests of a project's rules share: projects, gold, people, explanations.
#pragma once

#include <map>
#include <string>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "gtest/gtest.h"
#include "tests/e2e/load.h"
#include "tests/e2e/person.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {

class ProjectRulesTest : public LoadTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    StartCluster(0);
  }
  Person NewPerson(const std::string& name) {
    return Person(cluster().address(), ContractorToken(name));
  }
  absl::StatusOr<v1::Project> Create(const v1::CreateProjectRequest& request) {
    return client().Call(client().projects(), &v1::ProjectService::Stub::CreateProject, request);
  }
  void AddGold(const std::string& project, int count, int from = 0) {
    v1::AddGoldRequest request;
    request.set_project(project);
    request.set_request_id(absl::StrCat("gold-", from));
    for (int i = from; i < from + count; ++i) {
      auto& gold = *request.add_gold();
      *gold.mutable_task() = ClassItems::Task(i);
      *gold.mutable_answer() = ClassItems::Answer(i);
      answers_[gold.task().payload().class_item().text()] = ClassItems::Answer(i);
    }
    ASSERT_OK(client().Call(client().tasks(), &v1::TaskService::Stub::AddGold, request));
  }
  v1::Project Get(const std::string& project) {
    v1::GetProjectRequest request;
    request.set_name(project);
    auto got = client().Call(client().projects(), &v1::ProjectService::Stub::GetProject, request,
                             absl::Seconds(30));
    EXPECT_OK(got) << got.status();
    return got.ok() ? *got : v1::Project();
  }
  v1::ExplainTaskResponse Explain(const std::string& task) {
    v1::ExplainTaskRequest request;
    request.set_name(task);
    auto why = client().Call(client().tasks(), &v1::TaskService::Stub::ExplainTask, request);
    EXPECT_OK(why) << why.status();
    return why.ok() ? *why : v1::ExplainTaskResponse();
  }
  // Has him answer eight gold tasks rightly, of which each wants one answer.
  void Prove(Person& person, const std::string& project) {
    AddGold(project, 8);
    person.Online(1);
    for (int i = 0; i < 8; ++i) {
      const v1::Offer offer = person.NextOffer();
      auto assignment = person.Accept(offer);
      ASSERT_OK(assignment) << assignment.status();
      ASSERT_OK(person.SubmitAnswer(offer, answers_[assignment->payload().class_item().text()]));
    }
    person.Online(0);
  }
  static std::string TaskOf(const v1::Offer& offer) {
    return offer.assignment().substr(0, offer.assignment().find("/assignments/"));
  }
  // Takes the next offer and answers it.
  static void Work(Person& person, const std::string& answer) {
    const v1::Offer offer = person.NextOffer();
    ASSERT_OK(person.Accept(offer));
    ASSERT_OK(person.Submit(offer, answer));
  }

  std::map<std::string, v1::Answer> answers_;  // By text.
};

}  // namespace fairlead::e2e
