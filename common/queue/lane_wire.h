// What calls to the machine lane's functions (lua/lane3.*.lua) look like on the wire. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/queue/job_queue.h"
#include "common/redis/connection.h"

namespace fairlead::queue {

// In the order that lua/lane3.*.lua documents.
std::vector<std::string> LaneKeys(absl::string_view slot);

// A slot's incarnation says in which life of Redis it was opened, so that nobody calls the slot in
// another one before the scheduler has compared what is left with its record log:
// "<counter>-<random>-<beginning of the run_id>". ServerOf: "" when it does not say so.
std::string BindToServer(absl::string_view incarnation, absl::string_view run_id);
absl::string_view ServerOf(absl::string_view incarnation);

absl::Status BadReply(absl::string_view function);
// The code a reply begins with; "" when it is none of ours.
std::string CodeOf(const redis::Reply& reply);
// INCARNATION becomes UNAVAILABLE / LANE_CLOSED; the other codes what job_queue.h says of them.
absl::Status StatusOfCode(const std::string& code, absl::string_view function);

using ClassNames = std::map<int, std::string>;
using ClassNumbers = std::map<std::string, int>;
ClassNames ParseNames(const redis::Reply& reply);
// The job of a lease, without its token.
absl::StatusOr<Lease> ParseLease(absl::string_view id, absl::string_view bytes,
                                 const ClassNames& names);
// The jobs of one grant: the i-th has the token "<grant>-<i>"; those that are gone are left out.
absl::StatusOr<std::vector<Lease>> ParseLeases(const redis::Reply& texts, absl::string_view grant,
                                               const ClassNames& names);
std::vector<std::string> Texts(const redis::Reply& reply);

// A session's description as the lane keeps it: a line of what it can run, then its own words.
std::string Describe(const TickRequest& request);
void ReadDescription(absl::string_view text, SessionView* view);

// Groups of neighbours of one class and flow, those without an order as entries, kQuantum in a
// text. `jobs` is not empty; `numbers`: of the classes, as far as they are known.
redis::Arguments EnqueueArguments(const std::vector<NewJob>& jobs, const ClassNumbers& numbers);
// Adds to `numbers` what the reply tells of them.
absl::StatusOr<std::vector<bool>> ParseEnqueue(const redis::Reply& reply, size_t jobs,
                                               ClassNumbers* numbers);

// The lists of a tick after its classes; tokens that cannot be any go to `malformed`. Nothing
// stands for nacks and notes when there are none.
void AppendAcks(const TickRequest& request, redis::Arguments* out,
                std::vector<std::string>* malformed);
void AppendNacksAndNotes(const TickRequest& request, redis::Arguments* out);
// The answer to a session that had expired: everything it spoke of is lost.
TickResponse Fenced(const TickRequest& request);

}  // namespace fairlead::queue
