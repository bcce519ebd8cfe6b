// One ContractorService.Work stream on gRPC's callback API: no thread of its own. Writes from any
// thread are queued and go out one at a time.
#pragma once

#include <grpcpp/grpcpp.h>

#include <deque>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "common/base/mutex.h"
#include "fairlead/v1/contractor_service.grpc.pb.h"

namespace fairlead::cli {

class WorkStream final : public grpc::ClientBidiReactor<v1::WorkRequest, v1::WorkResponse>,
                         public std::enable_shared_from_this<WorkStream> {
 public:
  // Called on gRPC's threads, one call at a time; must be quick. OnStreamDone is the last.
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void OnStreamEvent(const v1::WorkResponse& event) = 0;
    virtual void OnStreamDone(const absl::Status& status) = 0;
  };

  // A stream that is not open yet.
  static std::shared_ptr<WorkStream> Create(const std::string& token,
                                            std::shared_ptr<Listener> listener);

  // Opens it, once. It keeps itself and its listener alive until OnStreamDone has returned, which
  // may be before this returns: call it without locks.
  void Open(v1::ContractorService::Stub* stub);

  // Queues an event; sent after Open, dropped when the stream has ended. Thread-safe.
  void Send(v1::WorkRequest request);
  // Breaks the stream off; OnStreamDone follows. Thread-safe.
  void Cancel();

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnDone(const grpc::Status& status) override;

 private:
  explicit WorkStream(std::shared_ptr<Listener> listener) : listener_(std::move(listener)) {}
  // Starts the next write when none is under way. Called without the lock.
  void WriteNext();

  grpc::ClientContext context_;
  v1::WorkResponse incoming_;  // Of the one read under way.
  v1::WorkRequest outgoing_;   // Of the one write under way.
  std::shared_ptr<Listener> listener_;
  std::shared_ptr<WorkStream> self_;  // Until OnDone.
  Mutex mu_;
  std::deque<v1::WorkRequest> queue_ ABSL_GUARDED_BY(mu_);
  bool writing_ ABSL_GUARDED_BY(mu_) = false;
  bool open_ ABSL_GUARDED_BY(mu_) = false;
  bool ended_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace fairlead::cli
