#include "common/queue/redis_job_queue.h"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <map>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"
#include "common/queue/job_rules.h"
#include "common/queue/lane_wire.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"

namespace fairlead::queue {
namespace {

using redis::Arguments;
using redis::Reply;

constexpr int kGrantBytes = 8;
constexpr int kMaxReap = 100;
constexpr size_t kMaxClasses = 64;
constexpr size_t kStatsHead = 7;  // What stands before the classes.
constexpr char kParkSeconds[] = "60";
constexpr absl::string_view kEnqueue = "fl_lane3_enqueue";
constexpr absl::string_view kTick = "fl_lane3_tick";

// To who enqueues, a Redis at maxmemory is a queue that is full.
absl::Status OrQueueFull(const absl::Status& status) {
  if (ReasonOf(status) != "STORE_FULL") return status;
  return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
               "redis is full: new jobs are refused until work has drained");
}

}  // namespace

RedisJobQueue::RedisJobQueue(redis::ConnectionPool* pool, std::string slot,
                             const Clock* simulated_clock)
    : pool_(pool),
      slot_(std::move(slot)),
      simulated_clock_(simulated_clock),
      keys_(LaneKeys(slot_)),
      end_wait_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      waiter_(pool->options()) {}

RedisJobQueue::~RedisJobQueue() {
  if (end_wait_ >= 0) close(end_wait_);
}

absl::StatusOr<std::string> RedisJobQueue::Incarnation() {
  {
    MutexLock lock(&mu_);
    if (!incarnation_.empty()) return incarnation_;
  }
  ASSIGN_OR_RETURN(const Reply reply, pool_->Call({"GET", redis::IncarnationKey(slot_)}));
  if (reply.is_nil()) {
    return Error(absl::StatusCode::kUnavailable, "LANE_CLOSED",
                 absl::StrCat("lane ", slot_, " is not open: no scheduler has opened it yet"));
  }
  MutexLock lock(&mu_);
  incarnation_ = reply.text;
  return incarnation_;
}

void RedisJobQueue::ForgetIncarnation(const std::string& stale) {
  MutexLock lock(&mu_);
  if (incarnation_ != stale) return;
  incarnation_.clear();
  classes_.clear();  // As many other ones would look like these.
  numbers_.clear();
}

Arguments RedisJobQueue::Head(const std::string& incarnation) const {
  const int64_t now = simulated_clock_ == nullptr ? 0 : absl::ToUnixMillis(simulated_clock_->Now());
  return {absl::StrCat(now), incarnation};
}

absl::Status RedisJobQueue::OrClosed(const absl::Status& status, const std::string& incarnation) {
  if (ReasonOf(status) != "STORE_RESTARTED") return status;
  ForgetIncarnation(incarnation);
  return Error(absl::StatusCode::kUnavailable, "LANE_CLOSED",
               absl::StrCat("lane ", slot_, " is not open: no scheduler has opened it since redis ",
                            "was restarted"));
}

absl::StatusOr<Reply> RedisJobQueue::CallUnder(const std::string& incarnation,
                                               absl::string_view function, const Arguments& rest) {
  Arguments arguments = Head(incarnation);
  arguments.insert(arguments.end(), rest.begin(), rest.end());
  absl::StatusOr<Reply> reply =
      redis::CallFunction(*pool_, function, keys_, arguments, ServerOf(incarnation));
  if (!reply.ok()) return OrClosed(reply.status(), incarnation);
  const std::string code = CodeOf(*reply);
  if (code.empty()) return BadReply(function);
  if (code == "INCARNATION") ForgetIncarnation(incarnation);
  return reply;
}

absl::StatusOr<std::vector<Reply>> RedisJobQueue::CallAll(const std::string& incarnation,
                                                          absl::string_view function,
                                                          std::vector<Arguments> calls) {
  for (Arguments& call : calls) {
    Arguments arguments = Head(incarnation);
    arguments.reserve(2 + call.size());
    std::move(call.begin(), call.end(), std::back_inserter(arguments));
    call = redis::FunctionCommand(function, keys_, arguments);
  }
  const absl::string_view server = ServerOf(incarnation);
  absl::StatusOr<std::vector<Reply>> replies = pool_->Pipeline(calls, server);
  const auto unknown = [](const Reply& reply) {
    return reply.type == Reply::Type::kError &&
           absl::StartsWith(reply.text, "ERR Function not found");
  };
  if (replies.ok() && !calls.empty() && std::all_of(replies->begin(), replies->end(), unknown)) {
    // Nothing has run: once more, with the library.
    RETURN_IF_ERROR(redis::LoadFunctions(*pool_));
    replies = pool_->Pipeline(calls, server);
  }
  if (!replies.ok()) return OrClosed(replies.status(), incarnation);
  for (const Reply& reply : *replies) {
    if (reply.type == Reply::Type::kError) return redis::StatusOfError(reply.text, function);
    const std::string code = CodeOf(reply);
    if (code.empty()) return BadReply(function);
    if (code == "INCARNATION") ForgetIncarnation(incarnation);
  }
  return replies;
}

absl::StatusOr<Reply> RedisJobQueue::Call(absl::string_view function, const Arguments& rest) {
  ASSIGN_OR_RETURN(std::string incarnation, Incarnation());
  ASSIGN_OR_RETURN(Reply reply, CallUnder(incarnation, function, rest));
  if (CodeOf(reply) == "INCARNATION") {
    ASSIGN_OR_RETURN(incarnation, Incarnation());
    ASSIGN_OR_RETURN(reply, CallUnder(incarnation, function, rest));
  }
  RETURN_IF_ERROR(StatusOfCode(CodeOf(reply), function));
  return reply;
}

ClassNumbers RedisJobQueue::Numbers() {
  MutexLock lock(&mu_);
  return numbers_;
}

absl::StatusOr<std::vector<bool>> RedisJobQueue::Added(const Reply& reply, size_t jobs) {
  ClassNumbers told;
  ASSIGN_OR_RETURN(std::vector<bool> added, ParseEnqueue(reply, jobs, &told));
  MutexLock lock(&mu_);
  for (const auto& [name, number] : told) numbers_[name] = number;
  return added;
}

absl::StatusOr<std::vector<bool>> RedisJobQueue::EnqueueBatch(const std::vector<NewJob>& jobs) {
  RETURN_IF_ERROR(ValidateJobs(jobs));
  const absl::StatusOr<Reply> reply = Call(kEnqueue, EnqueueArguments(jobs, Numbers()));
  if (!reply.ok()) return OrQueueFull(reply.status());
  return Added(*reply, jobs.size());
}

absl::StatusOr<std::vector<absl::StatusOr<std::vector<bool>>>> RedisJobQueue::EnqueueEach(
    const std::vector<std::vector<NewJob>>& batches) {
  std::vector<Arguments> calls;
  const ClassNumbers numbers = Numbers();
  for (const std::vector<NewJob>& jobs : batches) {
    RETURN_IF_ERROR(ValidateJobs(jobs));
    calls.push_back(EnqueueArguments(jobs, numbers));
  }
  ASSIGN_OR_RETURN(const std::string incarnation, Incarnation());
  const absl::StatusOr<std::vector<Reply>> replies =
      CallAll(incarnation, kEnqueue, std::move(calls));
  if (!replies.ok()) return OrQueueFull(replies.status());
  std::vector<absl::StatusOr<std::vector<bool>>> answers;
  for (size_t i = 0; i < replies->size(); ++i) {
    answers.push_back(Added((*replies)[i], batches[i].size()));
  }
  return answers;
}

struct RedisJobQueue::TickCall {
  bool is_new = false;
  std::map<int, std::string> heard_of;  // Classes by number, before this tick.
  std::string grant;
  std::vector<std::string> malformed;  // Tokens that never were any.
  Arguments arguments;
};

bool RedisJobQueue::LivedUnderAnother(absl::string_view session, const std::string& incarnation) {
  MutexLock lock(&mu_);
  const auto found = sessions_.find(session);
  return found != sessions_.end() && found->second.incarnation != incarnation;
}

void RedisJobQueue::ForgetSession(const std::string& session) {
  MutexLock lock(&mu_);
  sessions_.erase(session);
}

TickResponse RedisJobQueue::FenceOff(const TickRequest& request) {
  ForgetSession(request.session);
  return Fenced(request);
}

std::optional<RedisJobQueue::TickCall> RedisJobQueue::PrepareTick(const TickRequest& request,
                                                                  const std::string& incarnation) {
  TickCall call;
  call.grant = RandomHex(kGrantBytes);
  std::vector<std::string> classes = request.kinds;
  const std::string description = Describe(request);
  bool described = false;
  int woken = 0;
  ClassNumbers numbers;
  {
    MutexLock lock(&mu_);
    Session& session = sessions_[request.session];
    if (session.incarnation.empty()) session.incarnation = incarnation;
    if (session.incarnation != incarnation) return std::nullopt;
    call.is_new = !session.known;
    std::swap(woken, woken_);
    described = session.known && session.description == description;
    numbers = numbers_;
    for (size_t i = 0; i < classes_.size(); ++i) {
      call.heard_of[static_cast<int>(i) + 1] = classes_[i];
    }
    for (const auto& [name, number] : numbers) call.heard_of[number] = name;
    // In the order of their numbers: where two have waited equally long, the first is served.
    for (const auto& [number, one] : call.heard_of) {
      if (KindOf(one) != one && CanRun(one, request.kinds, request.able)) classes.push_back(one);
    }
  }
  if (classes.size() > kMaxClasses) classes.resize(kMaxClasses);
  call.arguments = {
      request.session, described ? "" : description, call.grant,
      absl::StrCat(call.is_new ? "1|" : "0|", absl::ToInt64Milliseconds(request.lease), "|",
                   request.want, "|", woken, "|", classes.size())};
  for (std::string& name : classes) {
    const auto number = numbers.find(name);
    call.arguments.push_back(std::move(name));
    call.arguments.push_back(number == numbers.end() ? "0" : absl::StrCat(number->second));
  }
  AppendAcks(request, &call.arguments, &call.malformed);
  AppendNacksAndNotes(request, &call.arguments);
  return call;
}

absl::StatusOr<TickResponse> RedisJobQueue::FinishTick(const TickRequest& request,
                                                       const TickCall& call, const Reply& reply) {
  const std::string code = CodeOf(reply);
  if (code == "FENCED" || code == "INCARNATION") return FenceOff(request);
  RETURN_IF_ERROR(StatusOfCode(code, kTick));
  if (reply.elements.size() != 10) return BadReply(kTick);
  const ClassNames names = ParseNames(reply.elements[7]);
  {
    MutexLock lock(&mu_);
    const auto session = sessions_.find(request.session);
    if (session != sessions_.end()) {
      session->second.known = true;
      session->second.description = Describe(request);
    }
    for (const auto& [number, name] : names) numbers_[name] = number;
  }
  TickResponse response;
  response.drain = reply.elements[3].AsInt() != 0;
  response.cancelled = Texts(reply.elements[4]);
  response.lost = Texts(reply.elements[5]);
  response.lost.insert(response.lost.end(), call.malformed.begin(), call.malformed.end());
  ASSIGN_OR_RETURN(response.leases, ParseLeases(reply.elements[6], call.grant, names));
  const int64_t due = reply.elements[9].AsInt();
  if (due > 0) response.next_due = absl::FromUnixMillis(due);
  return response;
}

absl::Status RedisJobQueue::LearnClasses() {
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane3_stats", {}));
  std::vector<std::string> classes;
  for (size_t i = kStatsHead; i < reply.elements.size(); ++i) {
    if (reply.elements[i].elements.size() != 7) return BadReply("fl_lane3_stats");
    classes.push_back(reply.elements[i].elements[0].AsText());
  }
  MutexLock lock(&mu_);
  classes_ = std::move(classes);
  return absl::OkStatus();
}

bool RedisJobQueue::HasUnheard(const TickRequest& request, const TickCall& call, const Reply& reply,
                               const TickResponse& response) {
  if (response.fenced || response.drain || request.want == 0) return false;
  size_t heard_of = call.heard_of.size();
  for (const auto& [number, name] : ParseNames(reply.elements[7])) {
    heard_of += 1 - call.heard_of.count(number);
  }
  return static_cast<size_t>(reply.elements[8].AsInt()) != heard_of;
}

absl::StatusOr<TickResponse> RedisJobQueue::Tick(const TickRequest& request) {
  RETURN_IF_ERROR(ValidateTick(request));
  ASSIGN_OR_RETURN(std::string incarnation, Incarnation());
  std::optional<TickCall> call = PrepareTick(request, incarnation);
  if (!call.has_value()) return FenceOff(request);
  ASSIGN_OR_RETURN(Reply reply, CallUnder(incarnation, kTick, call->arguments));
  if (CodeOf(reply) == "INCARNATION" && call->is_new) {
    // A session that nobody has seen yet loses nothing by a new incarnation: it begins under it.
    ForgetSession(request.session);
    ASSIGN_OR_RETURN(incarnation, Incarnation());
    call = PrepareTick(request, incarnation);
    if (!call.has_value()) return FenceOff(request);
    ASSIGN_OR_RETURN(reply, CallUnder(incarnation, kTick, call->arguments));
  }
  ASSIGN_OR_RETURN(TickResponse response, FinishTick(request, *call, reply));
  if (!HasUnheard(request, *call, reply, response)) return response;
  // What the tick did counts, whether the classes can be asked for or not: at the next one, then.
  if (!LearnClasses().ok() || !response.leases.empty()) return response;
  TickRequest again = request;
  again.acks.clear();
  again.nacks.clear();
  again.progress.clear();
  call = PrepareTick(again, incarnation);
  if (!call.has_value()) return FenceOff(request);
  ASSIGN_OR_RETURN(reply, CallUnder(incarnation, kTick, call->arguments));
  ASSIGN_OR_RETURN(TickResponse more, FinishTick(again, *call, reply));
  more.lost.insert(more.lost.begin(), response.lost.begin(), response.lost.end());
  return more;
}

absl::StatusOr<std::vector<absl::StatusOr<TickResponse>>> RedisJobQueue::TickAll(
    const std::vector<TickRequest>& requests) {
  ASSIGN_OR_RETURN(const std::string incarnation, Incarnation());
  std::vector<std::optional<TickCall>> prepared;
  std::vector<Arguments> calls;
  for (const TickRequest& request : requests) {
    RETURN_IF_ERROR(ValidateTick(request));
    prepared.push_back(PrepareTick(request, incarnation));
    if (prepared.back().has_value()) calls.push_back(std::move(prepared.back()->arguments));
  }
  ASSIGN_OR_RETURN(const std::vector<Reply> replies, CallAll(incarnation, kTick, std::move(calls)));
  std::vector<absl::StatusOr<TickResponse>> answers;
  bool unheard = false;
  auto reply = replies.begin();
  for (size_t i = 0; i < requests.size(); ++i) {
    if (!prepared[i].has_value()) {
      answers.push_back(FenceOff(requests[i]));
      continue;
    }
    answers.push_back(FinishTick(requests[i], *prepared[i], *reply));
    unheard =
        unheard || (answers[i].ok() && HasUnheard(requests[i], *prepared[i], *reply, *answers[i]));
    ++reply;
  }
  if (unheard) LearnClasses().IgnoreError();  // The next ticks ask again.
  return answers;
}

absl::StatusOr<std::vector<Lease>> RedisJobQueue::Mine(absl::string_view session) {
  ASSIGN_OR_RETURN(const std::string incarnation, Incarnation());
  if (LivedUnderAnother(session, incarnation)) return std::vector<Lease>();
  ASSIGN_OR_RETURN(const Reply reply,
                   CallUnder(incarnation, "fl_lane3_mine", {std::string(session)}));
  RETURN_IF_ERROR(StatusOfCode(CodeOf(reply), "fl_lane3_mine"));
  if (reply.elements.size() != 5) return BadReply("fl_lane3_mine");
  const std::vector<Reply>& jobs = reply.elements[3].elements;
  const ClassNames names = ParseNames(reply.elements[4]);
  std::vector<Lease> leases;
  for (size_t i = 0; i + 2 < jobs.size(); i += 3) {
    ASSIGN_OR_RETURN(Lease lease, ParseLease(jobs[i].text, jobs[i + 1].text, names));
    lease.token = jobs[i + 2].text;
    leases.push_back(std::move(lease));
  }
  return leases;
}

absl::StatusOr<int> RedisJobQueue::Reap(int limit) {
  RETURN_IF_ERROR(ValidateLimit(limit, kMaxReap));
  ASSIGN_OR_RETURN(const Reply reply, Call("fl_lane3_reap", {absl::StrCat(limit)}));
  if (reply.elements.size() != 4) return BadReply("fl_lane3_reap");
  return static_cast<int>(reply.elements[3].AsInt());
}

absl::Status RedisJobQueue::Cancel(absl::string_view job) {
  return Call("fl_lane3_cancel", {std::string(job)}).status();
}

absl::StatusOr<bool> RedisJobQueue::WaitForWork(absl::Duration timeout) {
  MutexLock lock(&waiter_mu_);
  if (!parked_) {
    RETURN_IF_ERROR(waiter_.Send({"BLPOP", redis::WakeKey(slot_), kParkSeconds}));
    parked_ = true;
  }
  const absl::StatusOr<std::optional<Reply>> reply = waiter_.Await(timeout, end_wait_);
  if (reply.ok() && !reply->has_value()) return false;
  parked_ = false;
  RETURN_IF_ERROR(reply.status());
  if ((*reply)->elements.size() != 2) return false;
  MutexLock inner(&mu_);
  woken_ = static_cast<int>((*reply)->elements[1].AsInt());
  return true;
}

void RedisJobQueue::LeaveWait() {
  std::string token;
  {
    MutexLock lock(&waiter_mu_);
    if (!parked_) return;
    parked_ = false;
    const absl::StatusOr<std::optional<Reply>> reply = waiter_.Await(absl::ZeroDuration(), -1);
    waiter_.Close();
    if (reply.ok() && reply->has_value() && (*reply)->elements.size() == 2) {
      token = (*reply)->elements[1].AsText();
    }
  }
  // It came too late for this process. Should this call fail, who is idle looks by itself when its
  // heartbeat is due.
  if (!token.empty()) pool_->Call({"RPUSH", redis::WakeKey(slot_), token}).status().IgnoreError();
}

void RedisJobQueue::EndWait() {
  const uint64_t one = 1;
  [[maybe_unused]] const ssize_t written = write(end_wait_, &one, sizeof one);
}

}  // namespace fairlead::queue
