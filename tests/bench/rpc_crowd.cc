#include "tests/bench/rpc_crowd.h"

#include <cmath>
#include <map>
#include <random>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/time/clock.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/work_stream.h"

namespace fairlead::bench {
namespace {

constexpr int kEnrollers = 32;
// The server takes a presence in a call of its own: streams are opened not much faster than that.
constexpr int64_t kOpenAhead = 2'000;

// The creation time that a task's id begins with: 48 bits in Crockford's base 32.
int64_t CreateMsOf(absl::string_view assignment) {
  constexpr absl::string_view kMark = "/tasks/";
  constexpr absl::string_view kAlphabet = "0123456789abcdefghjkmnpqrstvwxyz";
  constexpr size_t kDigits = 10;
  const size_t at = assignment.find(kMark);
  if (at == absl::string_view::npos) return 0;
  int64_t ms = 0;
  for (const char c : assignment.substr(at + kMark.size(), kDigits)) {
    ms = ms * 32 + static_cast<int64_t>(kAlphabet.find(c));
  }
  return ms;
}

}  // namespace

struct RpcCrowd::Shared {
  RpcTally tally;
  std::vector<std::string> classes;
  Mutex mu;
  std::vector<double> waits ABSL_GUARDED_BY(mu);
};

class RpcCrowd::Contractor final : public cli::WorkStream::Listener,
                                   public std::enable_shared_from_this<Contractor> {
 public:
  Contractor(std::shared_ptr<Shared> shared, std::string token, double skill, uint64_t seed)
      : shared_(std::move(shared)), token_(std::move(token)), skill_(skill), gen_(seed) {}

  void Open(v1::ContractorService::Stub* stub) {
    stream_ = cli::WorkStream::Create(token_, shared_from_this());
    v1::WorkRequest request;
    request.mutable_credit()->set_credit(1);
    stream_->Send(std::move(request));
    ++shared_->tally.open;
    stream_->Open(stub);
  }
  void Close() {
    if (stream_ != nullptr) stream_->Cancel();
  }

  void OnStreamEvent(const v1::WorkResponse& event) override {
    RpcTally& tally = shared_->tally;
    v1::WorkRequest request;
    if (event.has_offer()) {
      ++tally.offers;
      const int64_t created = CreateMsOf(event.offer().assignment());
      {
        MutexLock lock(&shared_->mu);
        shared_->waits.push_back(static_cast<double>(absl::ToUnixMillis(absl::Now()) - created));
      }
      request.mutable_accept()->set_assignment(event.offer().assignment());
      request.mutable_accept()->set_token(event.offer().token());
    } else if (event.has_assignment()) {
      request.mutable_submit()->set_assignment(event.assignment().name());
      request.mutable_submit()->set_token(event.assignment().token());
      const bool right = std::uniform_real_distribution<>(0, 1)(gen_) < skill_;
      const size_t wrong = 1 + gen_() % (shared_->classes.size() - 1);
      request.mutable_submit()->mutable_answer()->set_class_name(
          shared_->classes[right ? 0 : wrong]);
    } else {
      if (event.has_receipt()) ++tally.receipts;
      if (event.has_refusal()) ++tally.refusals;
      return;
    }
    stream_->Send(std::move(request));
  }
  void OnStreamDone(const absl::Status&) override {
    --shared_->tally.open;
    ++shared_->tally.lost;
  }

 private:
  const std::shared_ptr<Shared> shared_;
  const std::string token_;
  const double skill_;
  std::minstd_rand gen_;
  std::shared_ptr<cli::WorkStream> stream_;
};

RpcCrowd::RpcCrowd() : shared_(std::make_shared<Shared>()) {}

const RpcTally& RpcCrowd::tally() const { return shared_->tally; }

absl::StatusOr<std::unique_ptr<RpcCrowd>> RpcCrowd::Enrol(const RpcCrowdOptions& options) {
  std::unique_ptr<RpcCrowd> crowd(new RpcCrowd());
  crowd->shared_->classes = options.classes;
  for (int i = 0; i < options.connections; ++i) {
    crowd->stubs_.push_back(
        v1::ContractorService::NewStub(cli::OpenChannel(options.address, /*own_connection=*/true)));
  }
  const cli::Client admin(options.address, options.operator_token, "");
  std::vector<std::string> tokens(static_cast<size_t>(options.contractors));
  std::vector<absl::Status> failures(kEnrollers);
  std::vector<std::thread> threads;
  for (int t = 0; t < kEnrollers; ++t) {
    threads.emplace_back([&, t] {
      for (int i = t; i < options.contractors && failures[t].ok(); i += kEnrollers) {
        v1::CreateTokenRequest request;
        request.set_role(v1::ROLE_CONTRACTOR);
        request.set_contractor(absl::StrFormat("contractors/bench-%06d", i));
        const auto token = admin.Call(admin.admin(), &v1::AdminService::Stub::CreateToken, request);
        failures[t] = token.status();
        if (!token.ok()) return;
        tokens[static_cast<size_t>(i)] = token->secret();
        grpc::ClientContext context;
        context.AddMetadata("authorization", absl::StrCat("Bearer ", token->secret()));
        v1::EnrolRequest enrol;
        enrol.mutable_contractor()->add_languages("en");
        v1::Contractor enrolled;
        failures[t] =
            rpc::FromGrpcStatus(crowd->stubs_[static_cast<size_t>(i % options.connections)]->Enrol(
                &context, enrol, &enrolled));
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& failure : failures) RETURN_IF_ERROR(failure);
  std::mt19937 gen(1);
  for (size_t i = 0; i < tokens.size(); ++i) {
    const double skill = 0.55 + 0.44 * std::sqrt(std::uniform_real_distribution<>(0, 1)(gen));
    crowd->contractors_.push_back(
        std::make_shared<Contractor>(crowd->shared_, tokens[i], skill, i + 1));
  }
  return crowd;
}

RpcCrowd::~RpcCrowd() { Close(); }

absl::Status RpcCrowd::Open(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  for (size_t i = 0; i < contractors_.size(); ++i) {
    contractors_[i]->Open(stubs_[i % stubs_.size()].get());
    if (i % kOpenAhead == kOpenAhead - 1) absl::SleepFor(absl::Milliseconds(200));
    if (absl::Now() > deadline) return absl::DeadlineExceededError("streams do not open");
  }
  return tally().lost == 0 ? absl::OkStatus()
                           : absl::UnavailableError("streams were lost while others opened");
}

std::vector<double> RpcCrowd::TakeWaits() {
  MutexLock lock(&shared_->mu);
  return std::exchange(shared_->waits, {});
}

void RpcCrowd::Close() {
  for (const auto& contractor : contractors_) contractor->Close();
  const absl::Time deadline = absl::Now() + absl::Seconds(30);
  while (tally().open > 0 && absl::Now() < deadline) absl::SleepFor(absl::Milliseconds(20));
  contractors_.clear();
}

}  // namespace fairlead::bench
