#include "common/redis/call_combiner.h"

#include <utility>

namespace fairlead::redis {
namespace {

// Round trips under way at a time: while one is at Redis, another is written or read.
constexpr int kMaxLeaders = 2;
constexpr size_t kMaxBatch = 64;

thread_local bool leading = false;

absl::StatusOr<Reply> ReplyOf(Reply reply, const Arguments& arguments) {
  if (reply.type == Reply::Type::kError) return StatusOfError(reply.text, arguments[0]);
  return reply;
}

}  // namespace

std::vector<CallCombiner::Waiting*> CallCombiner::TakeBatch() {
  std::vector<Waiting*> batch;
  while (!queue_.empty() && batch.size() < kMaxBatch &&
         (batch.empty() || queue_.front()->server == batch[0]->server)) {
    batch.push_back(queue_.front());
    queue_.pop_front();
  }
  return batch;
}

void CallCombiner::Lead() {
  const std::vector<Waiting*> batch = TakeBatch();
  ++leaders_;
  mu_.Unlock();
  std::vector<const Arguments*> commands;
  commands.reserve(batch.size());
  for (const Waiting* waiting : batch) commands.push_back(waiting->arguments);
  leading = true;
  absl::StatusOr<std::vector<Reply>> replies = exchange_(commands, batch[0]->server);
  leading = false;
  mu_.Lock();
  --leaders_;
  for (size_t i = 0; i < batch.size(); ++i) {
    if (replies.ok()) {
      batch[i]->reply = ReplyOf(std::move((*replies)[i]), *batch[i]->arguments);
    } else {
      batch[i]->reply = replies.status();
    }
    batch[i]->turn.NotifyOne();
  }
  // Who came meanwhile found all leaders under way.
  if (!queue_.empty()) queue_.front()->turn.NotifyOne();
}

absl::StatusOr<Reply> CallCombiner::Call(const Arguments& arguments, absl::string_view server) {
  if (arguments.empty()) return absl::InvalidArgumentError("a redis command needs a name");
  if (leading) {
    absl::StatusOr<std::vector<Reply>> replies = exchange_({&arguments}, server);
    if (!replies.ok()) return replies.status();
    return ReplyOf(std::move((*replies)[0]), arguments);
  }
  Waiting self{&arguments, server, {}, std::nullopt};
  MutexLock lock(&mu_);
  queue_.push_back(&self);
  while (!self.reply.has_value()) {
    if (leaders_ < kMaxLeaders && !queue_.empty()) {
      Lead();
    } else {
      self.turn.Wait(&mu_);
    }
  }
  return *std::move(self.reply);
}

}  // namespace fairlead::redis
