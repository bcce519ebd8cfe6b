#include "tests/bench/rpc_echo.h"

#include <csignal>

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/work_stream.h"

namespace fairlead::bench {
namespace {

constexpr size_t kPayloadBytes = 200;
constexpr absl::Duration kStartTimeout = absl::Seconds(20);

class EchoStream final : public grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse> {
 public:
  EchoStream() {
    response_.mutable_assignment()->set_name(std::string(100, 'n'));
    response_.mutable_assignment()->mutable_payload()->mutable_class_item()->set_text(
        std::string(kPayloadBytes, 't'));
    StartRead(&request_);
  }
  void OnReadDone(bool ok) override {
    if (ok) {
      StartWrite(&response_);
    } else {
      Finish(grpc::Status::OK);
    }
  }
  void OnWriteDone(bool ok) override {
    if (ok) {
      StartRead(&request_);
    } else {
      Finish(grpc::Status::OK);
    }
  }
  void OnDone() override { delete this; }

 private:
  v1::WorkRequest request_;
  v1::WorkResponse response_;
};

class EchoService final : public v1::ContractorService::CallbackService {
  grpc::ServerBidiReactor<v1::WorkRequest, v1::WorkResponse>* Work(
      grpc::CallbackServerContext*) override {
    return new EchoStream();
  }
};

class EchoClient final : public cli::WorkStream::Listener,
                         public std::enable_shared_from_this<EchoClient> {
 public:
  EchoClient(std::atomic<int64_t>* answers, std::atomic<int64_t>* open)
      : answers_(answers), open_(open) {}

  void Open(v1::ContractorService::Stub* stub) {
    stream_ = cli::WorkStream::Create("none", shared_from_this());
    ++*open_;
    Send();
    stream_->Open(stub);
  }
  void Close() { stream_->Cancel(); }
  void OnStreamEvent(const v1::WorkResponse&) override {
    ++*answers_;
    Send();
  }
  void OnStreamDone(const absl::Status&) override { --*open_; }

 private:
  void Send() {
    v1::WorkRequest request;
    request.mutable_accept()->set_assignment(std::string(100, 'n'));
    request.mutable_accept()->set_token("0123456789abcdef");
    stream_->Send(std::move(request));
  }

  std::atomic<int64_t>* const answers_;
  std::atomic<int64_t>* const open_;
  std::shared_ptr<cli::WorkStream> stream_;
};

}  // namespace

int ServeEcho(const std::string& address) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  EchoService service;
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  builder.RegisterService(&service);
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) return 1;
  int signal = 0;
  sigwait(&signals, &signal);
  server->Shutdown(std::chrono::system_clock::now());
  return 0;
}

absl::StatusOr<double> MeasureEcho(const std::string& address, int connections, int streams,
                                   absl::Duration duration) {
  const auto probe = cli::OpenChannel(address, /*own_connection=*/true);
  if (!probe->WaitForConnected(absl::ToChronoTime(absl::Now() + kStartTimeout))) {
    return absl::UnavailableError("the echo server does not start");
  }
  std::atomic<int64_t> answers{0}, open{0};
  std::vector<std::unique_ptr<v1::ContractorService::Stub>> stubs;
  for (int i = 0; i < connections; ++i) {
    stubs.push_back(
        v1::ContractorService::NewStub(cli::OpenChannel(address, /*own_connection=*/true)));
  }
  std::vector<std::shared_ptr<EchoClient>> clients;
  for (int i = 0; i < streams; ++i) {
    clients.push_back(std::make_shared<EchoClient>(&answers, &open));
    clients.back()->Open(stubs[static_cast<size_t>(i % connections)].get());
  }
  absl::SleepFor(duration / 4);
  const absl::Time start = absl::Now();
  const int64_t before = answers;
  absl::SleepFor(duration);
  const double rate =
      static_cast<double>(answers - before) / absl::ToDoubleSeconds(absl::Now() - start);
  const bool all_open = open == streams;
  for (const auto& client : clients) client->Close();
  while (open > 0) absl::SleepFor(absl::Milliseconds(5));
  if (!all_open) return absl::UnavailableError("the echo server lost streams");
  return rate;
}

}  // namespace fairlead::bench
