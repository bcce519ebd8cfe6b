#include "scheduler/cli/client.h"

#include <grpcpp/generic/generic_stub.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"
#include "google/protobuf/empty.pb.h"
#include "google/protobuf/wrappers.pb.h"
#include "google/rpc/error_details.pb.h"
#include "scheduler/cli/file.h"

namespace fairlead::cli {
namespace {

// As many as the server's own limit, so that a refusal is the server's and carries its reason.
constexpr int kMaxMessageBytes = 8 << 20;
constexpr char kHealthMethod[] = "/grpc.health.v1.Health/Check";
constexpr int kServing = 1;  // grpc.health.v1.HealthCheckResponse.SERVING.

}  // namespace

std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address, bool own_connection) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(kMaxMessageBytes);
  arguments.SetMaxSendMessageSize(kMaxMessageBytes);
  // A scheduler that restarts is back within seconds; gRPC's own 120 s would hide that.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
  // Also how long one attempt may take: a client that polls now and then needs more than a wink.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 1000);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 1000);
  if (own_connection) arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), arguments);
}

absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, absl::Duration timeout) {
  // The health protocol's two messages, by their wire form: a request without a service is empty, a
  // response is one enum in field 1. gRPC 1.51 as packaged ships no client for it.
  grpc::TemplatedGenericStub<google::protobuf::Empty, google::protobuf::Int32Value> stub(channel);
  grpc::ClientContext context;
  context.set_deadline(absl::ToChronoTime(absl::Now() + timeout));
  // So that the connection is polled while it is being made.
  context.set_wait_for_ready(true);
  grpc::CompletionQueue queue;
  auto call = stub.PrepareUnaryCall(&context, kHealthMethod, google::protobuf::Empty(), &queue);
  call->StartCall();
  google::protobuf::Int32Value response;
  grpc::Status status;
  call->Finish(&response, &status, &queue);
  void* tag = nullptr;
  bool ok = false;
  queue.Next(&tag, &ok);
  queue.Shutdown();
  while (queue.Next(&tag, &ok)) {
  }
  if (!status.ok()) return rpc::FromGrpcStatus(status);
  if (response.value() != kServing) {
    return absl::UnavailableError(absl::StrCat("server is not serving, state ", response.value()));
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Client>> Client::Connect(const GlobalOptions& globals,
                                                        Speaker speaker) {
  std::string address = globals.address;
  std::string tenant = globals.tenant;
  std::string token;
  if (!globals.token_file.empty()) {
    ASSIGN_OR_RETURN(token, ReadFile(globals.token_file, 1 << 16));
    token = std::string(absl::StripAsciiWhitespace(token));
  }
  if (address.empty() || tenant.empty() || token.empty()) {
    absl::StatusOr<Credentials> credentials = LoadCredentials(globals.credentials);
    if (credentials.ok()) {
      if (address.empty()) address = credentials->address;
      if (tenant.empty()) tenant = credentials->tenant;
      if (token.empty()) {
        token =
            speaker == Speaker::kOperator ? credentials->operator_token : credentials->client_token;
      }
    } else if (address.empty() || token.empty()) {
      return Annotate(credentials.status(),
                      "no credentials: start `fairlead up` here, or give --credentials, or "
                      "--address with --token-file");
    }
  }
  return std::make_unique<Client>(address, std::move(token), std::move(tenant));
}

Client::Client(const std::string& address, std::string token, std::string tenant)
    : channel_(OpenChannel(address)),
      bearer_(absl::StrCat("Bearer ", token)),
      tenant_(std::move(tenant)),
      projects_(v1::ProjectService::NewStub(channel_)),
      tasks_(v1::TaskService::NewStub(channel_)),
      blobs_(v1::BlobService::NewStub(channel_)),
      models_(v1::ModelService::NewStub(channel_)),
      admin_(v1::AdminService::NewStub(channel_)),
      accounts_(v1::AccountService::NewStub(channel_)),
      jobs_(v1::JobService::NewStub(channel_)) {}

void Client::PrepareStream(grpc::ClientContext* context) const {
  context->AddMetadata("authorization", bearer_);
}

void Client::Prepare(grpc::ClientContext* context, absl::Duration timeout) const {
  PrepareStream(context);
  context->set_deadline(absl::ToChronoTime(absl::Now() + timeout));
}

std::string Client::tenant_name() const { return absl::StrCat("tenants/", tenant_); }

std::string Client::ProjectName(const std::string& project) const {
  if (absl::StartsWith(project, "tenants/")) return project;
  return absl::StrCat(tenant_name(), "/projects/", project);
}

std::string Client::ModelName(const std::string& model) const {
  if (absl::StartsWith(model, "tenants/")) return model;
  return absl::StrCat(tenant_name(), "/models/", model);
}

Backoff::Backoff(absl::Duration first, absl::Duration cap)
    : first_(first), cap_(cap), gen_(std::random_device()()) {}

absl::Duration Backoff::Next() {
  const absl::Duration bound = std::min(cap_, first_ * (1 << std::min(tries_, 16)));
  ++tries_;
  return bound * std::uniform_real_distribution<double>(0.01, 1.0)(gen_);
}

}  // namespace fairlead::cli
