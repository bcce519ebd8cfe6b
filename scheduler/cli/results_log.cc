#include "scheduler/cli/results_log.h"

#include <algorithm>
#include <utility>

#include "absl/time/clock.h"

namespace fairlead::cli {

ResultsLog::ResultsLog(const Client& client, std::string project, bool include_gold)
    : client_(client),
      project_(std::move(project)),
      include_gold_(include_gold),
      thread_([this] { Follow(); }) {}

ResultsLog::~ResultsLog() {
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    if (context_ != nullptr) context_->TryCancel();
    changed_.NotifyAll();
  }
  thread_.join();
}

int64_t ResultsLog::ended() const {
  MutexLock lock(&mu_);
  return static_cast<int64_t>(outcomes_.size());
}

int64_t ResultsLog::completed() const {
  MutexLock lock(&mu_);
  return completed_;
}

int64_t ResultsLog::repeated() const {
  MutexLock lock(&mu_);
  return repeated_;
}

std::map<std::string, TaskOutcome> ResultsLog::outcomes() const {
  MutexLock lock(&mu_);
  return outcomes_;
}

absl::Status ResultsLog::status() const {
  MutexLock lock(&mu_);
  return status_;
}

bool ResultsLog::WaitEnded(int64_t count, absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  MutexLock lock(&mu_);
  while (static_cast<int64_t>(outcomes_.size()) < count) {
    const int64_t left = absl::ToInt64Milliseconds(deadline - absl::Now());
    if (left <= 0) return false;
    changed_.WaitFor(&mu_, std::chrono::milliseconds(std::min<int64_t>(left, 1000)));
  }
  return true;
}

void ResultsLog::Note(const v1::StreamResultsResponse& result) {
  MutexLock lock(&mu_);
  TaskOutcome& outcome = outcomes_[result.task()];
  ++outcome.times;
  if (outcome.times > 1) {
    if (outcome.state != result.state() ||
        outcome.label.answer().SerializeAsString() != result.label().answer().SerializeAsString()) {
      ++repeated_;
    }
    return;
  }
  outcome.state = result.state();
  outcome.label = result.label();
  outcome.seen = absl::Now();
  if (result.state() == v1::Task::COMPLETED) ++completed_;
  changed_.NotifyAll();
}

absl::Status ResultsLog::ReadStream(std::string& cursor) {
  grpc::ClientContext context;
  client_.PrepareStream(&context);
  {
    MutexLock lock(&mu_);
    if (stopping_) return absl::CancelledError("stopping");
    context_ = &context;
  }
  v1::StreamResultsRequest request;
  request.set_project(project_);
  request.set_cursor(cursor);
  request.set_include_gold(include_gold_);
  const auto reader = client_.tasks()->StreamResults(&context, request);
  v1::StreamResultsResponse result;
  while (reader->Read(&result)) {
    Note(result);
    cursor = result.cursor();
  }
  const absl::Status status = rpc::FromGrpcStatus(reader->Finish());
  MutexLock lock(&mu_);
  context_ = nullptr;
  return status;
}

void ResultsLog::Follow() {
  std::string cursor;
  Backoff backoff(absl::Milliseconds(100), absl::Seconds(1));
  while (true) {
    const std::string before = cursor;
    const absl::Status status = ReadStream(cursor);
    if (cursor != before) backoff.Reset();
    MutexLock lock(&mu_);
    if (stopping_) return;
    // What an expired cursor skipped is read again from the start; Note drops what is known.
    if (absl::IsOutOfRange(status)) cursor.clear();
    status_ = absl::IsUnavailable(status) || absl::IsOutOfRange(status) ? absl::OkStatus() : status;
    const int64_t wait = absl::ToInt64Milliseconds(backoff.Next()) + 1;
    changed_.WaitFor(&mu_, std::chrono::milliseconds(wait));
  }
}

}  // namespace fairlead::cli
