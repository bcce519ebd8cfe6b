// The API against a real server: who may call, what is refused and how, what a repetition returns.
#include <gmock/gmock.h>
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/image/image.h"
#include "common/rpc/grpc_status.h"
#include "common/rpc/method_table.h"
#include "fairlead/v1/blob_service.grpc.pb.h"
#include "fairlead/v1/contractor_service.grpc.pb.h"
#include "tests/e2e/cluster_fixture.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

using ::testing::HasSubstr;

// One unary call to any method with an empty request, whatever its types.
grpc::Status CallEmpty(const std::string& address, const std::string& method,
                       const std::string& token) {
  grpc::GenericStub stub(cli::OpenChannel(address, true));
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  if (!token.empty()) context.AddMetadata("authorization", "Bearer " + token);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareCall(&context, method, &queue);
  void* tag = nullptr;
  bool ok = false;
  call->StartCall(reinterpret_cast<void*>(1));
  queue.Next(&tag, &ok);
  const grpc::Slice nothing("", 0);
  const grpc::ByteBuffer empty(&nothing, 1);
  call->Write(empty, grpc::WriteOptions().set_last_message(), reinterpret_cast<void*>(2));
  queue.Next(&tag, &ok);
  grpc::Status status;
  call->Finish(&status, reinterpret_cast<void*>(3));
  queue.Next(&tag, &ok);
  return status;
}

class ApiTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    StartCluster(0);
    project_ = CreateClassProject("api");
  }

  v1::SubmitTasksRequest Request(int tasks, const std::string& request_id) {
    v1::SubmitTasksRequest request;
    request.set_project(project_);
    request.set_request_id(request_id);
    for (int i = 0; i < tasks; ++i) *request.add_tasks() = ClassItems::Task(i);
    return request;
  }
  absl::StatusOr<v1::SubmitTasksResponse> SubmitRaw(const v1::SubmitTasksRequest& request) {
    return client().Call(client().tasks(), &v1::TaskService::Stub::SubmitTasks, request);
  }
  int64_t Submitted(const std::string& project) {
    v1::GetProjectRequest request;
    request.set_name(project);
    auto response =
        client().Call(client().projects(), &v1::ProjectService::Stub::GetProject, request);
    EXPECT_OK(response) << response.status();
    return response.ok() ? response->counts().submitted() : -1;
  }
  void ExpectRefused(const v1::SubmitTasksRequest& request, absl::StatusCode code,
                     const std::string& reason, const std::string& message) {
    auto response = SubmitRaw(request);
    EXPECT_EQ(response.status().code(), code) << response.status();
    EXPECT_EQ(ReasonOf(response.status()), reason);
    EXPECT_THAT(std::string(response.status().message()), HasSubstr(message));
  }

  std::string project_;
};

TEST_F(ApiTest, EveryMethodIsInTheTableAndRefusesCallersWithoutAToken) {
  const rpc::MethodTable table(rpc::ServedServices());
  EXPECT_THAT(table.missing(), ::testing::IsEmpty());
  int methods = 0;
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const std::string& name : rpc::ServedServices()) {
    const auto* service = pool->FindServiceByName(name);
    ASSERT_NE(service, nullptr) << name;
    for (int i = 0; i < service->method_count(); ++i, ++methods) {
      const std::string method = absl::StrCat("/", name, "/", service->method(i)->name());
      ASSERT_NE(table.Find(method), nullptr) << method;
      const grpc::Status none = CallEmpty(cluster().address(), method, "");
      EXPECT_EQ(none.error_code(), grpc::StatusCode::UNAUTHENTICATED)
          << method << " " << none.error_message();
      const grpc::Status wrong = CallEmpty(cluster().address(), method, "fl_of_somebody_else");
      EXPECT_EQ(wrong.error_code(), grpc::StatusCode::UNAUTHENTICATED) << method;
      EXPECT_EQ(ReasonOf(rpc::FromGrpcStatus(wrong)), "TOKEN_UNKNOWN") << method;
    }
  }
  EXPECT_GE(methods, 38);
}

TEST_F(ApiTest, ARoleThatMayNotCallIsRefused) {
  const std::string contractor = ContractorToken("curious");
  const rpc::MethodTable table(rpc::ServedServices());
  for (const auto& [method, rule] : table.rules()) {
    bool allowed = false;
    for (int role : rule.roles()) allowed = allowed || role == v1::ROLE_CONTRACTOR;
    if (allowed) continue;
    const grpc::Status status = CallEmpty(cluster().address(), method, contractor);
    EXPECT_EQ(status.error_code(), grpc::StatusCode::PERMISSION_DENIED)
        << method << " " << status.error_message();
  }
}

TEST_F(ApiTest, AnotherTenantsTokenIsRefusedBeforeExistenceIsAsked) {
  v1::CreateTenantRequest tenant;
  tenant.set_tenant_id("rival");
  ASSERT_OK(op().Call(op().admin(), &v1::AdminService::Stub::CreateTenant, tenant));
  v1::CreateTokenRequest token;
  token.set_role(v1::ROLE_CLIENT);
  token.set_tenant("tenants/rival");
  auto secret = op().Call(op().admin(), &v1::AdminService::Stub::CreateToken, token);
  ASSERT_OK(secret) << secret.status();
  cli::Client rival(cluster().address(), secret->secret(), "rival");
  for (const std::string& name : {project_, std::string("tenants/dev/projects/nothing-here")}) {
    v1::GetProjectRequest request;
    request.set_name(name);
    auto got = rival.Call(rival.projects(), &v1::ProjectService::Stub::GetProject, request);
    EXPECT_TRUE(absl::IsPermissionDenied(got.status())) << got.status();
    EXPECT_EQ(ReasonOf(got.status()), "OTHER_TENANT");
  }
  auto submitted = rival.Call(rival.tasks(), &v1::TaskService::Stub::SubmitTasks, Request(1, "r1"));
  EXPECT_TRUE(absl::IsPermissionDenied(submitted.status())) << submitted.status();
  EXPECT_EQ(Submitted(project_), 0);
}

TEST_F(ApiTest, ARevokedTokenIsRefused) {
  v1::CreateTokenRequest make;
  make.set_role(v1::ROLE_VIEWER);
  auto token = op().Call(op().admin(), &v1::AdminService::Stub::CreateToken, make);
  ASSERT_OK(token) << token.status();
  cli::Client viewer(cluster().address(), token->secret(), "dev");
  EXPECT_OK(viewer.Call(viewer.admin(), &v1::AdminService::Stub::GetQueues, {}));
  v1::RevokeTokenRequest revoke;
  revoke.set_token_id(token->token_id());
  ASSERT_OK(op().Call(op().admin(), &v1::AdminService::Stub::RevokeToken, revoke));
  auto after = viewer.Call(viewer.admin(), &v1::AdminService::Stub::GetQueues, {});
  EXPECT_EQ(ReasonOf(after.status()), "TOKEN_REVOKED") << after.status();
}

TEST_F(ApiTest, ARepeatedSubmitReturnsTheSameNames) {
  auto first = SubmitRaw(Request(3, "twice"));
  auto second = SubmitRaw(Request(3, "twice"));
  ASSERT_OK(first) << first.status();
  ASSERT_OK(second) << second.status();
  EXPECT_EQ(std::vector<std::string>(first->names().begin(), first->names().end()),
            std::vector<std::string>(second->names().begin(), second->names().end()));
  EXPECT_EQ(Submitted(project_), 3);
  ExpectRefused(Request(4, "twice"), absl::StatusCode::kAlreadyExists, "REQUEST_ID_REUSED",
                "twice");
  EXPECT_EQ(Submitted(project_), 3);
}

TEST_F(ApiTest, WithoutRedisCallsAreUnavailableWithinTheirDeadlineAndRecoverAlone) {
  ASSERT_OK(cluster().Kill(cli::kRedis, /*stay_down=*/true));
  grpc::ClientContext context;
  client().Prepare(&context, absl::Seconds(5));
  v1::SubmitTasksResponse unanswered;
  const grpc::Status away =
      client().tasks()->SubmitTasks(&context, Request(2, "away"), &unanswered);
  EXPECT_EQ(away.error_code(), grpc::StatusCode::UNAVAILABLE) << away.error_message();
  ASSERT_OK(cluster().StartOne(cli::kRedis));
  auto back = client().Call(client().tasks(), &v1::TaskService::Stub::SubmitTasks,
                            Request(2, "away"), absl::Seconds(30));
  ASSERT_OK(back) << back.status();
  EXPECT_EQ(Submitted(project_), 2);
}

TEST_F(ApiTest, BadSubmitsAreRefusedNamingTheFieldAndStoreNothing) {
  const auto invalid = absl::StatusCode::kInvalidArgument;
  ExpectRefused(Request(0, "empty"), invalid, "FIELD_INVALID", "tasks");
  ExpectRefused(Request(1001, "many"), invalid, "FIELD_INVALID", "1001 entries");
  v1::SubmitTasksRequest large = Request(0, "large");
  for (int i = 0; i < 400; ++i) {
    v1::Task& task = *large.add_tasks();
    task.mutable_payload()->mutable_class_item()->set_text(std::string(13'000, 'x'));
  }
  ASSERT_GT(large.ByteSizeLong(), 5'000'000);
  ExpectRefused(large, invalid, "FIELD_INVALID", "split it");
  v1::SubmitTasksRequest wrong_kind = Request(20, "kind");
  wrong_kind.mutable_tasks(17)->mutable_payload()->mutable_pair()->set_response_a("x");
  ExpectRefused(wrong_kind, invalid, "FIELD_INVALID", "tasks[17].payload");
  v1::SubmitTasksRequest unknown = Request(1, "unknown");
  unknown.set_project("tenants/dev/projects/unknown");
  ExpectRefused(unknown, absl::StatusCode::kNotFound, "PROJECT_NOT_FOUND", "unknown");
  v1::SubmitTasksRequest malformed = Request(1, "malformed");
  malformed.set_project("projects/api");
  ExpectRefused(malformed, invalid, "FIELD_INVALID", "project");
  v1::SubmitTasksRequest no_id = Request(1, "");
  ExpectRefused(no_id, invalid, "FIELD_INVALID", "request_id");
  EXPECT_EQ(Submitted(project_), 0);
}

TEST_F(ApiTest, ImagesThatAreNoImagesAreRefused) {
  v1::CreateProjectRequest create;
  create.set_parent(client().tenant_name());
  create.set_project_id("images");
  create.mutable_settings()->mutable_answer_schema()->set_kind(v1::TASK_KIND_IMAGE_TEXT);
  create.mutable_pay_rate()->set_currency("EUR");
  auto project =
      client().Call(client().projects(), &v1::ProjectService::Stub::CreateProject, create);
  ASSERT_OK(project) << project.status();
  GrayImage image{40, 20, std::vector<uint8_t>(800, 200)};
  const std::string png = *EncodePng(image);
  std::string huge = png;
  huge.replace(16, 8, std::string("\x00\x00\x75\x30\x00\x00\x75\x30", 8));  // 30,000 × 30,000.
  for (const std::string& bytes : {std::string("just text"), png.substr(0, 40), huge}) {
    v1::SubmitTasksRequest request;
    request.set_project(project->name());
    request.set_request_id("bad");
    request.add_tasks()->mutable_payload()->mutable_image_text()->set_image(png);
    request.add_tasks()->mutable_payload()->mutable_image_text()->set_image(bytes);
    ExpectRefused(request, absl::StatusCode::kInvalidArgument, "FIELD_INVALID",
                  "tasks[1].payload.image_text.image");
  }
  v1::SubmitTasksRequest nothing;
  nothing.set_project(project->name());
  nothing.set_request_id("none");
  nothing.add_tasks()->mutable_payload()->mutable_image_text();
  ExpectRefused(nothing, absl::StatusCode::kInvalidArgument, "FIELD_INVALID",
                "tasks[0].payload.image_text");
  EXPECT_EQ(Submitted(project->name()), 0);
}

}  // namespace
}  // namespace fairlead::e2e
