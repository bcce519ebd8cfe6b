// The tool's side of gRPC: a channel, a bearer token with every call, errors with their reason.
// Channels are insecure: over the unix socket that `fairlead up` makes, the directory's mode is the
// guard; in production TLS is terminated in front of the scheduler, by a sidecar or the ingress.
#pragma once

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <random>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "common/rpc/grpc_status.h"
#include "fairlead/v1/admin_service.grpc.pb.h"
#include "fairlead/v1/blob_service.grpc.pb.h"
#include "fairlead/v1/contractor_service.grpc.pb.h"
#include "fairlead/v1/job_service.grpc.pb.h"
#include "fairlead/v1/model_service.grpc.pb.h"
#include "fairlead/v1/project_service.grpc.pb.h"
#include "fairlead/v1/task_service.grpc.pb.h"
#include "scheduler/cli/credentials.h"

namespace fairlead::cli {

// unix:PATH or HOST:PORT. Connects lazily. `own_connection` keeps it from sharing another
// channel's.
std::shared_ptr<grpc::Channel> OpenChannel(const std::string& address, bool own_connection = false);

// grpc.health.v1.Health/Check of the whole server. UNAVAILABLE unless it says SERVING.
absl::Status CheckHealth(const std::shared_ptr<grpc::Channel>& channel, absl::Duration timeout);

enum class Speaker { kClient, kOperator };

// Stubs, tenant and token of one speaker. Thread-safe.
class Client {
 public:
  // Address, tenant and token from the options, what is missing there from the credentials file.
  static absl::StatusOr<std::unique_ptr<Client>> Connect(const GlobalOptions& globals,
                                                         Speaker speaker);
  Client(const std::string& address, std::string token, std::string tenant);

  // Puts token and deadline on a call that is about to be made.
  void Prepare(grpc::ClientContext* context, absl::Duration timeout) const;
  // The same without a deadline, for streams that stay open.
  void PrepareStream(grpc::ClientContext* context) const;

  // One unary call; UNAVAILABLE and NOT_DURABLE_YET are tried again with full jitter for
  // `retry_for` (every method is idempotent). `Call(*client.tasks(), &TaskService::Stub::GetTask,
  // request)`.
  template <typename Stub, typename Request, typename Response>
  absl::StatusOr<Response> Call(
      Stub* stub, grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
      const Request& request, absl::Duration retry_for = absl::Seconds(5)) const;

  v1::ProjectService::Stub* projects() const { return projects_.get(); }
  v1::TaskService::Stub* tasks() const { return tasks_.get(); }
  v1::BlobService::Stub* blobs() const { return blobs_.get(); }
  v1::ModelService::Stub* models() const { return models_.get(); }
  v1::AdminService::Stub* admin() const { return admin_.get(); }
  v1::AccountService::Stub* accounts() const { return accounts_.get(); }
  v1::JobService::Stub* jobs() const { return jobs_.get(); }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }
  const std::string& tenant() const { return tenant_; }
  std::string tenant_name() const;  // "tenants/dev".
  // "prices" → "tenants/dev/projects/prices"; a full name stays as it is. Likewise for models.
  std::string ProjectName(const std::string& project) const;
  std::string ModelName(const std::string& model) const;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string bearer_;
  const std::string tenant_;
  const std::unique_ptr<v1::ProjectService::Stub> projects_;
  const std::unique_ptr<v1::TaskService::Stub> tasks_;
  const std::unique_ptr<v1::BlobService::Stub> blobs_;
  const std::unique_ptr<v1::ModelService::Stub> models_;
  const std::unique_ptr<v1::AdminService::Stub> admin_;
  const std::unique_ptr<v1::AccountService::Stub> accounts_;
  const std::unique_ptr<v1::JobService::Stub> jobs_;
};

// Waits between tries: full jitter under a doubling cap (AWS Architecture Blog, "Exponential
// Backoff And Jitter", 2015). Not thread-safe.
class Backoff {
 public:
  explicit Backoff(absl::Duration first = absl::Milliseconds(100),
                   absl::Duration cap = absl::Seconds(5));
  // The next wait, uniform in (0, min(cap, first·2^n)].
  absl::Duration Next();
  void Reset() { tries_ = 0; }

 private:
  const absl::Duration first_;
  const absl::Duration cap_;
  int tries_ = 0;
  std::minstd_rand gen_;
};

// ---- Implementation ----

template <typename Stub, typename Request, typename Response>
absl::StatusOr<Response> Client::Call(Stub* stub,
                                      grpc::Status (Stub::*method)(grpc::ClientContext*,
                                                                   const Request&, Response*),
                                      const Request& request, absl::Duration retry_for) const {
  const absl::Time give_up = absl::Now() + retry_for;
  Backoff backoff;
  grpc::Status unavailable;
  while (true) {
    grpc::ClientContext context;
    Prepare(&context, absl::Seconds(30));
    if (!unavailable.ok()) {
      // A call that waits for the connection keeps it being polled; one that fails at once does
      // not, and the channel would stay broken for seconds after the server is back.
      context.set_wait_for_ready(true);
      context.set_deadline(absl::ToChronoTime(std::max(give_up, absl::Now() + absl::Seconds(1))));
    }
    Response response;
    const grpc::Status status = (stub->*method)(&context, request, &response);
    if (status.ok()) return response;
    // Done, and not known to be on disk: the server asks for a repetition.
    const bool undecided = ReasonOf(rpc::FromGrpcStatus(status)) == "NOT_DURABLE_YET";
    const bool late = status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED && !undecided;
    if (late && !unavailable.ok()) return rpc::FromGrpcStatus(unavailable);
    if (status.error_code() != grpc::StatusCode::UNAVAILABLE && !undecided) {
      return rpc::FromGrpcStatus(status);
    }
    unavailable = status;
    const absl::Duration wait = backoff.Next();
    if (absl::Now() + wait > give_up) return rpc::FromGrpcStatus(status);
    absl::SleepFor(wait);
  }
}

}  // namespace fairlead::cli
