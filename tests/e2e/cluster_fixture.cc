#include "tests/e2e/cluster_fixture.h"

#include <stdlib.h>

#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"

namespace fairlead::e2e {

void ClusterTest::SetUp() {
  // Short: a unix socket's path has 107 bytes at most.
  char name[] = "/tmp/fl-e2e-XXXXXX";
  ASSERT_NE(mkdtemp(name), nullptr);
  directory_ = name;
}

void ClusterTest::StopCluster() {
  if (cluster_ != nullptr) cluster_->Stop();
}

void ClusterTest::TearDown() {
  StopCluster();
  cluster_.reset();
  if (HasFailure()) {
    ADD_FAILURE() << "the logs are kept in " << directory_;
    return;
  }
  std::filesystem::remove_all(directory_);
}

void ClusterTest::StartCluster(int workers, std::vector<std::string> scheduler_arguments) {
  cli::ClusterOptions options;
  options.data_dir = directory_;
  options.workers = workers;
  options.scheduler_arguments = std::move(scheduler_arguments);
  options.binary_dir = FAIRLEAD_BINARY_DIR;
  auto cluster = cli::LocalCluster::Create(options);
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  cluster_ = *std::move(cluster);
  const absl::Status started = cluster_->Start(absl::Seconds(60));
  ASSERT_TRUE(started.ok()) << started;
  const cli::Credentials& c = cluster_->credentials();
  client_ = std::make_unique<cli::Client>(cluster_->address(), c.client_token, c.tenant);
  operator_ = std::make_unique<cli::Client>(cluster_->address(), c.operator_token, c.tenant);
}

v1::CreateProjectRequest ClusterTest::ClassProject(const std::string& id) {
  v1::CreateProjectRequest request;
  request.set_parent(client_->tenant_name());
  request.set_project_id(id);
  v1::ProjectSettings& settings = *request.mutable_settings();
  settings.mutable_answer_schema()->set_kind(v1::TASK_KIND_CLASS);
  for (const char* name : {"a", "b", "c", "d"}) settings.mutable_answer_schema()->add_classes(name);
  settings.mutable_redundancy()->set_min_answers(2);
  settings.mutable_redundancy()->set_max_answers(4);
  settings.mutable_offer_window()->set_seconds(1);
  settings.mutable_work_window()->set_seconds(5);
  request.mutable_pay_rate()->set_micros_per_annotation(20'000);
  request.mutable_pay_rate()->set_currency("EUR");
  return request;
}

std::string ClusterTest::CreateClassProject(const std::string& id) {
  auto project = client_->Call(client_->projects(), &v1::ProjectService::Stub::CreateProject,
                               ClassProject(id));
  EXPECT_TRUE(project.ok()) << project.status();
  return project.ok() ? project->name() : "";
}

std::vector<std::string> ClusterTest::Submit(const std::string& project, int begin, int end,
                                             const std::string& request_id) {
  v1::SubmitTasksRequest request;
  request.set_project(project);
  request.set_request_id(request_id);
  for (int i = begin; i < end; ++i) *request.add_tasks() = ClassItems::Task(i);
  auto response = client_->Call(client_->tasks(), &v1::TaskService::Stub::SubmitTasks, request,
                                absl::Seconds(30));
  EXPECT_TRUE(response.ok()) << response.status();
  if (!response.ok()) return {};
  return {response->names().begin(), response->names().end()};
}

std::string ClusterTest::ContractorToken(const std::string& contractor) {
  v1::CreateTokenRequest request;
  request.set_role(v1::ROLE_CONTRACTOR);
  request.set_contractor("contractors/" + contractor);
  auto response =
      operator_->Call(operator_->admin(), &v1::AdminService::Stub::CreateToken, request);
  EXPECT_TRUE(response.ok()) << response.status();
  return response.ok() ? response->secret() : "";
}

}  // namespace fairlead::e2e
