#include "scheduler/store/slot_caller.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/queue/lane_wire.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"

namespace fairlead::store {
namespace {

std::vector<std::string> WithSlotKeys(absl::string_view slot,
                                      const std::vector<std::string>& keys) {
  std::vector<std::string> all = {redis::IncarnationKey(slot), redis::SequenceKey(slot),
                                  redis::EventsKey(slot)};
  all.insert(all.end(), keys.begin(), keys.end());
  return all;
}

Outcome ToOutcome(redis::Reply reply) {
  Outcome outcome;
  if (reply.type != redis::Reply::Type::kArray || reply.elements.size() < 3) {
    outcome.code = "ERROR";
    outcome.rest.push_back(std::move(reply));
    return outcome;
  }
  outcome.code = reply.elements[0].AsText();
  outcome.now_ms = reply.elements[1].AsInt();
  outcome.seq = static_cast<uint64_t>(reply.elements[2].AsInt());
  outcome.rest.assign(std::make_move_iterator(reply.elements.begin() + 3),
                      std::make_move_iterator(reply.elements.end()));
  return outcome;
}

}  // namespace

redis::Arguments SlotCaller::WithFence(const std::string& incarnation,
                                       const redis::Arguments& arguments) const {
  const int64_t now_ms = simulated_ == nullptr ? 0 : absl::ToUnixMillis(simulated_->Now());
  redis::Arguments all = {absl::StrCat(now_ms), incarnation};
  all.insert(all.end(), arguments.begin(), arguments.end());
  return all;
}

absl::StatusOr<Outcome> SlotCaller::Invoke(absl::string_view slot,
                                           const Invocation& invocation) const {
  ASSIGN_OR_RETURN(std::string incarnation, gate_->IncarnationOf(slot));
  ASSIGN_OR_RETURN(redis::Reply reply,
                   redis::CallFunction(
                       *pool_, invocation.function, WithSlotKeys(slot, invocation.keys),
                       WithFence(incarnation, invocation.arguments), queue::ServerOf(incarnation)));
  Outcome outcome = ToOutcome(std::move(reply));
  if (outcome.code == "INCARNATION") {
    FAIRLEAD_LOG(WARNING) << "slot is under another incarnation slot=" << slot
                          << " function=" << invocation.function;
    gate_->Close();
    return Error(absl::StatusCode::kUnavailable, "STORE_RECOVERING",
                 "the queues are being recovered; try again");
  }
  if (outcome.code == "ERROR") {
    return absl::InternalError(
        absl::StrCat(invocation.function, ": unexpected reply ", outcome.Text(0)));
  }
  return outcome;
}

absl::StatusOr<std::vector<Outcome>> SlotCaller::InvokeAll(
    absl::string_view slot, const std::vector<Invocation>& invocations) const {
  ASSIGN_OR_RETURN(std::string incarnation, gate_->IncarnationOf(slot));
  std::vector<redis::Arguments> commands;
  commands.reserve(invocations.size());
  for (const Invocation& invocation : invocations) {
    commands.push_back(redis::FunctionCommand(invocation.function,
                                              WithSlotKeys(slot, invocation.keys),
                                              WithFence(incarnation, invocation.arguments)));
  }
  ASSIGN_OR_RETURN(std::vector<redis::Reply> replies,
                   pool_->Pipeline(commands, queue::ServerOf(incarnation)));
  std::vector<Outcome> outcomes;
  outcomes.reserve(replies.size());
  for (redis::Reply& reply : replies) {
    const bool forgotten = reply.type == redis::Reply::Type::kError &&
                           absl::StrContains(reply.text, "Function not found");
    outcomes.push_back(ToOutcome(std::move(reply)));
    // A Redis without our functions, or under another incarnation, has to be looked at first.
    if (forgotten || outcomes.back().code == "INCARNATION") gate_->Close();
  }
  return outcomes;
}

}  // namespace fairlead::store
