#include "scheduler/cli/work_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/cli/client.h"

namespace fairlead::cli {

std::shared_ptr<WorkStream> WorkStream::Create(const std::string& token,
                                               std::shared_ptr<Listener> listener) {
  std::shared_ptr<WorkStream> stream(new WorkStream(std::move(listener)));
  stream->context_.AddMetadata("authorization", absl::StrCat("Bearer ", token));
  return stream;
}

void WorkStream::Open(v1::ContractorService::Stub* stub) {
  self_ = shared_from_this();
  const std::shared_ptr<WorkStream> alive = self_;
  stub->async()->Work(&context_, this);
  // Writes come from other threads, not from reactions: the hold keeps OnDone from coming between.
  AddHold();
  StartRead(&incoming_);
  StartCall();
  {
    MutexLock lock(&mu_);
    open_ = true;
  }
  WriteNext();
}

void WorkStream::Send(v1::WorkRequest request) {
  {
    MutexLock lock(&mu_);
    if (ended_) return;
    queue_.push_back(std::move(request));
  }
  WriteNext();
}

void WorkStream::WriteNext() {
  {
    MutexLock lock(&mu_);
    if (!open_ || writing_ || ended_ || queue_.empty()) return;
    outgoing_ = std::move(queue_.front());
    queue_.pop_front();
    writing_ = true;
    // Until StartWrite has registered the operation, this hold stands for it.
    AddHold();
  }
  StartWrite(&outgoing_);
  RemoveHold();
}

void WorkStream::Cancel() { context_.TryCancel(); }

void WorkStream::OnReadDone(bool ok) {
  if (!ok) {
    {
      MutexLock lock(&mu_);
      ended_ = true;
      queue_.clear();
    }
    RemoveHold();
    return;
  }
  listener_->OnStreamEvent(incoming_);
  StartRead(&incoming_);
}

void WorkStream::OnWriteDone(bool ok) {
  {
    MutexLock lock(&mu_);
    writing_ = false;
  }
  if (ok) WriteNext();
}

void WorkStream::OnDone(const grpc::Status& status) {
  const std::shared_ptr<WorkStream> self = std::move(self_);
  listener_->OnStreamDone(rpc::FromGrpcStatus(status));
  listener_.reset();
}

}  // namespace fairlead::cli
