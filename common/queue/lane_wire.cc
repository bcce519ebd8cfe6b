#include "common/queue/lane_wire.h"

#include <algorithm>
#include <cstdint>
#include <iterator>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"
#include "common/redis/keys.h"

namespace fairlead::queue {
namespace {

using redis::Arguments;
using redis::Reply;

std::string OrderOf(const NewJob& job) {
  const int64_t deadline = job.deadline == absl::InfiniteFuture()
                               ? 0
                               : std::max<int64_t>(1, absl::ToUnixMillis(job.deadline));
  const int64_t start = std::max<int64_t>(0, absl::ToUnixMillis(job.start));
  if (job.priority == 0 && deadline == 0 && start == 0) return "";
  return absl::StrCat(job.priority, "|", deadline, "|", start);
}

constexpr size_t kServerLetters = 16;  // Of 40: 64 bits.

}  // namespace

std::vector<std::string> LaneKeys(absl::string_view slot) {
  return {redis::IncarnationKey(slot), redis::SequenceKey(slot), redis::EventsKey(slot),
          redis::LaneStateKey(slot),   redis::JobsKey(slot),     redis::JobOrderKey(slot),
          redis::JobDueKey(slot),      redis::JobDatedKey(slot), redis::SessionsKey(slot),
          redis::JobDeadKey(slot),     redis::WakeKey(slot)};
}

std::string BindToServer(absl::string_view incarnation, absl::string_view run_id) {
  return absl::StrCat(incarnation, "-", run_id.substr(0, kServerLetters));
}

absl::string_view ServerOf(absl::string_view incarnation) {
  const std::vector<absl::string_view> parts = absl::StrSplit(incarnation, '-');
  return parts.size() > 2 ? parts[2] : "";
}

absl::Status BadReply(absl::string_view function) {
  return absl::InternalError(absl::StrCat(function, " answered in an unknown shape"));
}

std::string CodeOf(const Reply& reply) {
  return reply.elements.size() >= 3 ? reply.elements[0].AsText() : "";
}

absl::Status StatusOfCode(const std::string& code, absl::string_view function) {
  const std::string message = absl::StrCat(function, " was refused: ", code);
  if (code == "OK") return absl::OkStatus();
  if (code == "INCARNATION") {
    return Error(absl::StatusCode::kUnavailable, "LANE_CLOSED", "the lane changes its incarnation");
  }
  if (code == "BACKLOG") {
    return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL",
                 "the flow has as many waiting jobs as it may");
  }
  if (code == "FULL") return Error(absl::StatusCode::kResourceExhausted, "QUEUE_FULL", message);
  if (code == "NOT_FOUND") return Error(absl::StatusCode::kNotFound, "NOT_FOUND", message);
  if (code == "TERMINAL" || code == "NOT_DEAD") {
    return Error(absl::StatusCode::kFailedPrecondition, absl::StrCat("STATE_", code), message);
  }
  return absl::InternalError(message);
}

ClassNames ParseNames(const Reply& reply) {
  ClassNames names;
  for (size_t i = 0; i + 1 < reply.elements.size(); i += 2) {
    names[static_cast<int>(reply.elements[i].AsInt())] = reply.elements[i + 1].AsText();
  }
  return names;
}

absl::StatusOr<Lease> ParseLease(absl::string_view id, absl::string_view bytes,
                                 const ClassNames& names) {
  const auto name = names.find(ClassNumber(bytes));
  if (name == names.end()) return BadReply("a lease");
  ASSIGN_OR_RETURN(StoredJob job, DecodeJob(id, name->second, bytes));
  Lease lease;
  lease.job = std::move(job.record);
  lease.attempts = job.attempts;
  lease.crashes = job.crashes;
  return lease;
}

absl::StatusOr<std::vector<Lease>> ParseLeases(const Reply& texts, absl::string_view grant,
                                               const ClassNames& names) {
  std::vector<Lease> leases;
  int index = 0;
  for (const Reply& text : texts.elements) {
    absl::string_view entries = text.text, id, body;
    while (!entries.empty()) {
      ++index;
      if (!CutEntry(&entries, &id, &body)) return BadReply("a lease");
      if (id.empty()) continue;
      ASSIGN_OR_RETURN(Lease lease, ParseLease(id, body, names));
      lease.token = absl::StrCat(grant, "-", index);
      leases.push_back(std::move(lease));
    }
  }
  return leases;
}

std::vector<std::string> Texts(const Reply& reply) {
  std::vector<std::string> texts;
  for (const Reply& element : reply.elements) texts.push_back(element.AsText());
  return texts;
}

namespace {

// Acks under one grant, by their index in it.
struct GrantAcks {
  absl::string_view grant;
  std::vector<std::pair<int, const Ack*>> acks;
};

std::string Indices(const std::vector<std::pair<int, const Ack*>>& acks) {
  const int first = acks.front().first, last = acks.back().first;
  bool run =
      last > first && static_cast<size_t>(last) - static_cast<size_t>(first) + 1 == acks.size();
  for (size_t i = 0; run && i < acks.size(); ++i)
    run = acks[i].first == first + static_cast<int>(i);
  if (run) return absl::StrCat(first, "-", last);
  return absl::StrJoin(
      acks, ",", [](std::string* text, const auto& ack) { absl::StrAppend(text, ack.first); });
}

}  // namespace

void AppendAcks(const TickRequest& request, Arguments* out, std::vector<std::string>* malformed) {
  std::vector<GrantAcks> grants;  // In the order of their first ack.
  for (const Ack& ack : request.acks) {
    const absl::string_view token = ack.token;
    const size_t dash = token.rfind('-');
    int index = 0;
    if (dash == absl::string_view::npos || dash == 0 ||
        !absl::SimpleAtoi(token.substr(dash + 1), &index) || index < 1 ||
        !std::all_of(token.begin(), token.begin() + dash,
                     [](char c) { return absl::ascii_isxdigit(static_cast<unsigned char>(c)); })) {
      malformed->push_back(ack.token);
      continue;
    }
    const absl::string_view grant = token.substr(0, dash);
    if (grants.empty() || grants.back().grant != grant) grants.push_back({grant, {}});
    grants.back().acks.push_back({index, &ack});
  }
  out->push_back(absl::StrCat(grants.size()));
  for (const GrantAcks& one : grants) {
    out->emplace_back(one.grant);
    out->push_back(Indices(one.acks));
    std::vector<std::string> results;
    for (const auto& [index, ack] : one.acks) results.push_back(ack->result.SerializeAsString());
    out->push_back(JoinTexts(results));
  }
}

void AppendNacksAndNotes(const TickRequest& request, Arguments* out) {
  if (request.nacks.empty() && request.progress.empty()) return;
  thread_local absl::BitGen gen;
  out->push_back(absl::StrCat(request.nacks.size()));
  for (const Nack& nack : request.nacks) {
    const double jitter = nack.jitter.has_value() ? *nack.jitter : absl::Uniform(gen, 0.0, 1.0);
    out->insert(out->end(), {nack.token, nack.preempted ? "1" : "0",
                             absl::StrFormat("%.6f", jitter), nack.error});
  }
  out->push_back(absl::StrCat(request.progress.size()));
  for (const ProgressNote& note : request.progress) {
    out->insert(out->end(), {note.token, note.text});
  }
}

TickResponse Fenced(const TickRequest& request) {
  TickResponse response;
  response.fenced = true;
  for (const Ack& ack : request.acks) response.lost.push_back(ack.token);
  for (const Nack& nack : request.nacks) response.lost.push_back(nack.token);
  for (const ProgressNote& note : request.progress) response.lost.push_back(note.token);
  return response;
}

std::string Describe(const TickRequest& request) {
  return absl::StrCat(absl::StrJoin(request.kinds, ","), "\t", request.able.device, "\t",
                      request.able.memory_mib, "\t", absl::StrJoin(request.able.labels, ","), "\n",
                      request.description);
}

void ReadDescription(absl::string_view text, SessionView* view) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('\n', 1));
  view->description = std::string(parts.second);
  const std::vector<absl::string_view> able = absl::StrSplit(parts.first, '\t');
  if (able.size() != 4) return;
  view->kinds = absl::StrSplit(able[0], ',', absl::SkipEmpty());
  view->able.device = std::string(able[1]);
  if (!absl::SimpleAtoi(able[2], &view->able.memory_mib)) view->able.memory_mib = 0;
  view->able.labels = absl::StrSplit(able[3], ',', absl::SkipEmpty());
}

namespace {

constexpr size_t kChunk = kQuantum;  // Entries in one text.
constexpr size_t kChunkBytes = 8192;

// Where the neighbours of one class, flow and way of being ordered end that begin at `begin`.
size_t EndOfGroup(const std::vector<NewJob>& jobs, size_t begin, const std::string& job_class,
                  const std::string& flow, bool ordered) {
  size_t end = begin + 1;
  while (end < jobs.size() && ClassOf(jobs[end].record) == job_class &&
         FlowOf(jobs[end].record) == flow && OrderOf(jobs[end]).empty() != ordered) {
    ++end;
  }
  return end;
}

void AppendOrders(const std::vector<NewJob>& jobs, size_t begin, size_t end, Arguments* out) {
  out->push_back(absl::StrCat(end - begin, "o"));
  for (size_t i = begin; i < end; ++i) {
    out->insert(out->end(), {jobs[i].record.job(), StripRecord(jobs[i].record), OrderOf(jobs[i])});
  }
}

void AppendEntries(const std::vector<NewJob>& jobs, size_t begin, size_t end,
                   absl::string_view flow, int number, Arguments* out) {
  std::vector<std::string> texts;
  size_t count = kChunk;
  for (size_t i = begin; i < end; ++i) {
    if (count == kChunk || texts.back().size() > kChunkBytes) {
      texts.emplace_back();
      count = 0;
    }
    AppendEntry(jobs[i].record, flow, number, &texts.back());
    ++count;
  }
  out->push_back(absl::StrCat(texts.size()));
  std::move(texts.begin(), texts.end(), std::back_inserter(*out));
}

}  // namespace

Arguments EnqueueArguments(const std::vector<NewJob>& jobs, const ClassNumbers& numbers) {
  Arguments out;
  for (size_t begin = 0, end = 0; begin < jobs.size(); begin = end) {
    const std::string job_class = ClassOf(jobs[begin].record);
    const std::string flow = FlowOf(jobs[begin].record);
    const bool ordered = !OrderOf(jobs[begin]).empty();
    const auto known = numbers.find(job_class);
    const int number = known == numbers.end() ? 0 : known->second;
    end = EndOfGroup(jobs, begin, job_class, flow, ordered);
    out.insert(out.end(), {job_class, flow, absl::StrCat(number)});
    if (ordered) {
      AppendOrders(jobs, begin, end, &out);
    } else {
      AppendEntries(jobs, begin, end, flow, number, &out);
    }
  }
  return out;
}

absl::StatusOr<std::vector<bool>> ParseEnqueue(const Reply& reply, size_t jobs,
                                               ClassNumbers* numbers) {
  RETURN_IF_ERROR(StatusOfCode(CodeOf(reply), "fl_lane3_enqueue"));
  if (reply.elements.size() != 5 || reply.elements[3].text.size() != jobs) {
    return BadReply("fl_lane3_enqueue");
  }
  for (const auto& [number, name] : ParseNames(reply.elements[4])) (*numbers)[name] = number;
  std::vector<bool> added(jobs);
  for (size_t i = 0; i < jobs; ++i) added[i] = reply.elements[3].text[i] == '1';
  return added;
}

}  // namespace fairlead::queue
