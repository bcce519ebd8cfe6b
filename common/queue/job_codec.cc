#include "common/queue/job_codec.h"

#include <algorithm>
#include <map>
#include <utility>

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/wire_format_lite.h>
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "common/base/status.h"

namespace fairlead::queue {
namespace {

constexpr size_t kHeader = 8;
constexpr size_t kDeadline = 6;
constexpr size_t kSize = 3;
constexpr int kLastRestored = 4;  // job, kind, tenant and model are fields 1 to 4.
constexpr absl::string_view kNoFlow = "-";

absl::Status Broken(absl::string_view what) {
  return absl::InternalError(absl::StrCat("the bytes of ", what, " are broken"));
}

uint64_t BigEndian(absl::string_view bytes) {
  uint64_t value = 0;
  for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
  return value;
}

std::string SizeBytes(size_t size) {
  return {static_cast<char>(size >> 16), static_cast<char>(size >> 8), static_cast<char>(size)};
}

absl::string_view TenantOfFlow(absl::string_view flow) {
  if (flow == kNoFlow) return "";
  return flow.substr(0, flow.find('/'));
}

absl::string_view ModelOfFlow(absl::string_view flow) {
  return absl::StrContains(flow, '/') ? flow : absl::string_view();
}

// Where the fields begin that FlowOf and ClassOf do not restore: fields are written in their order.
size_t StripLength(const std::string& bytes, int last) {
  using google::protobuf::internal::WireFormatLite;
  google::protobuf::io::CodedInputStream in(reinterpret_cast<const uint8_t*>(bytes.data()),
                                            static_cast<int>(bytes.size()));
  while (true) {
    const int start = in.CurrentPosition();
    const uint32_t tag = in.ReadTag();
    if (tag == 0 || WireFormatLite::GetTagFieldNumber(tag) > last ||
        !WireFormatLite::SkipField(&in, tag)) {
      return static_cast<size_t>(start);
    }
  }
}

// Cuts the first `size` bytes off `*text`; false when there are fewer.
bool Cut(absl::string_view* text, size_t size, absl::string_view* part) {
  if (text->size() < size) return false;
  *part = text->substr(0, size);
  text->remove_prefix(size);
  return true;
}

}  // namespace

std::string FlowOf(const store::v1::JobRecord& job) {
  if (!job.model().empty()) return job.model();
  return job.tenant().empty() ? std::string(kNoFlow) : job.tenant();
}

std::string ClassOf(const store::v1::JobRecord& job) {
  if (!job.has_requirements()) return job.kind();
  const store::v1::JobRequirements& needs = job.requirements();
  std::string name = job.kind();
  if (!needs.device().empty()) absl::StrAppend(&name, " device=", needs.device());
  if (needs.memory_mib() > 0) absl::StrAppend(&name, " memory=", needs.memory_mib());
  std::vector<std::string> labels(needs.labels().begin(), needs.labels().end());
  std::sort(labels.begin(), labels.end());
  if (!labels.empty()) absl::StrAppend(&name, " labels=", absl::StrJoin(labels, ","));
  return name;
}

absl::string_view KindOf(absl::string_view job_class) {
  return job_class.substr(0, job_class.find(' '));
}

bool CanRun(absl::string_view job_class, const std::vector<std::string>& kinds,
            const Capabilities& able) {
  const std::vector<absl::string_view> parts = absl::StrSplit(job_class, ' ');
  if (std::find(kinds.begin(), kinds.end(), parts[0]) == kinds.end()) return false;
  for (absl::string_view part : parts) {
    if (absl::ConsumePrefix(&part, "device=") && part != able.device) return false;
    int64_t memory = 0;
    if (absl::ConsumePrefix(&part, "memory=") &&
        (!absl::SimpleAtoi(part, &memory) || memory > able.memory_mib)) {
      return false;
    }
    if (!absl::ConsumePrefix(&part, "labels=")) continue;
    for (const absl::string_view label : absl::StrSplit(part, ',')) {
      if (std::find(able.labels.begin(), able.labels.end(), label) == able.labels.end()) {
        return false;
      }
    }
  }
  return true;
}

std::string StripRecord(const store::v1::JobRecord& job) {
  std::string bytes = job.SerializeAsString();
  const std::string flow = FlowOf(job);
  const bool whole = TenantOfFlow(flow) == job.tenant() && ModelOfFlow(flow) == job.model();
  bytes.erase(0, StripLength(bytes, whole ? kLastRestored : 2));
  return bytes;
}

void AppendEntry(const store::v1::JobRecord& job, absl::string_view flow, int class_number,
                 std::string* out) {
  const std::string record = StripRecord(job);
  const size_t size = kHeader + flow.size() + record.size();
  out->push_back(static_cast<char>(job.job().size()));
  absl::StrAppend(out, job.job(), SizeBytes(size));
  out->append({'w', static_cast<char>(class_number), 0, 0, 0, 0, '0'});
  out->push_back(static_cast<char>(flow.size()));
  absl::StrAppend(out, flow, record);
}

bool CutEntry(absl::string_view* entries, absl::string_view* id, absl::string_view* body) {
  absl::string_view size;
  if (!Cut(entries, 1, &size)) return false;
  if (size[0] == 0) {
    *id = *body = "";
    return Cut(entries, 1, &size);
  }
  return Cut(entries, static_cast<unsigned char>(size[0]), id) && Cut(entries, kSize, &size) &&
         Cut(entries, BigEndian(size), body);
}

std::string JoinTexts(const std::vector<std::string>& texts) {
  std::string all;
  for (const std::string& text : texts) all += SizeBytes(text.size());
  for (const std::string& text : texts) all += text;
  return all;
}

int ClassNumber(absl::string_view bytes) {
  return bytes.size() < kHeader ? -1 : static_cast<unsigned char>(bytes[1]);
}

absl::StatusOr<StoredJob> DecodeJob(absl::string_view id, absl::string_view job_class,
                                    absl::string_view bytes) {
  StoredJob job;
  const char mark = bytes.empty() ? '\0' : bytes[0];
  const bool dated = mark == 'W' || mark == 'X';
  if ((mark != 'w' && mark != 'x' && !dated) || bytes.size() < kHeader) return Broken(id);
  job.dead = mark == 'x' || mark == 'X';
  job.priority = static_cast<int16_t>(BigEndian(bytes.substr(2, 2)));
  job.attempts = static_cast<unsigned char>(bytes[4]);
  job.crashes = static_cast<unsigned char>(bytes[5]);
  const size_t flow_size = static_cast<unsigned char>(bytes[7]);
  bytes.remove_prefix(kHeader);
  absl::string_view part;
  if (dated) {
    if (!Cut(&bytes, kDeadline, &part)) return Broken(id);
    job.deadline = absl::FromUnixMillis(static_cast<int64_t>(BigEndian(part)));
  }
  if (!Cut(&bytes, flow_size, &part)) return Broken(id);
  job.flow = std::string(part);
  if (!job.record.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return Broken(id);
  job.record.set_job(id.data(), id.size());
  const absl::string_view kind = KindOf(job_class);
  job.record.set_kind(kind.data(), kind.size());
  if (job.record.tenant().empty() && job.record.model().empty()) {
    job.record.set_tenant(std::string(TenantOfFlow(job.flow)));
    job.record.set_model(std::string(ModelOfFlow(job.flow)));
  }
  return job;
}

namespace {

using Names = std::map<int, absl::string_view>;

absl::StatusOr<store::v1::JobFinished> DecodeFinished(absl::string_view id, absl::string_view body,
                                                      absl::string_view outcome,
                                                      const Names& names) {
  const auto name = names.find(ClassNumber(body));
  if (name == names.end()) return Broken(id);
  ASSIGN_OR_RETURN(StoredJob job, DecodeJob(id, name->second, body));
  store::v1::JobFinished finished;
  *finished.mutable_job() = std::move(job.record);
  finished.set_attempts(job.attempts);
  finished.set_crashes(job.crashes);
  finished.set_dead(job.dead);
  if (job.dead) {
    finished.set_error(std::string(outcome));
  } else if (!finished.mutable_result()->ParseFromArray(outcome.data(),
                                                        static_cast<int>(outcome.size()))) {
    return Broken("a result");
  }
  return finished;
}

using Entries = std::vector<std::pair<absl::string_view, absl::string_view>>;  // Id and body.

absl::Status CutEntries(absl::string_view text, Entries* out) {
  while (!text.empty()) {
    auto& [id, body] = out->emplace_back();
    if (!CutEntry(&text, &id, &body) || id.empty()) return Broken("an event");
  }
  return absl::OkStatus();
}

// As many outcomes, texts in one, as there are jobs.
absl::Status DecodeOutcomes(const Entries& jobs, absl::string_view outcomes, const Names& names,
                            std::vector<store::v1::JobFinished>* out) {
  absl::string_view sizes, outcome;
  if (!Cut(&outcomes, kSize * jobs.size(), &sizes)) return Broken("an event");
  for (const auto& [id, body] : jobs) {
    if (!Cut(&outcomes, BigEndian(sizes.substr(0, kSize)), &outcome)) return Broken("an event");
    sizes.remove_prefix(kSize);
    ASSIGN_OR_RETURN(store::v1::JobFinished one, DecodeFinished(id, body, outcome, names));
    out->push_back(std::move(one));
  }
  return outcomes.empty() ? absl::OkStatus() : Broken("an event");
}

}  // namespace

absl::StatusOr<std::vector<store::v1::JobFinished>> DecodeEnded(
    absl::string_view kind, absl::string_view classes,
    const std::vector<absl::string_view>& ended) {
  Names names;
  for (const absl::string_view line : absl::StrSplit(classes, '\n', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(' ', 1));
    int number = 0;
    if (!absl::SimpleAtoi(parts.first, &number)) return Broken("the classes of an event");
    names[number] = parts.second;
  }
  std::vector<store::v1::JobFinished> all;
  if (ended.size() % (kind == "jobs" ? 4 : 2) != 0) return Broken("an event");
  Entries jobs;
  for (size_t i = 0; i < ended.size(); i += 2) {
    if (kind == "jobs") {
      ASSIGN_OR_RETURN(store::v1::JobFinished one,
                       DecodeFinished(ended[i], ended[i + 1], ended[i + 3], names));
      all.push_back(std::move(one));
      i += 2;
    } else if (ended[i] == "e") {
      RETURN_IF_ERROR(CutEntries(ended[i + 1], &jobs));
    } else {
      RETURN_IF_ERROR(DecodeOutcomes(jobs, ended[i + 1], names, &all));
      jobs.clear();
    }
  }
  if (!jobs.empty()) return Broken("an event");
  return all;
}

}  // namespace fairlead::queue
