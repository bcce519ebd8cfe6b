#include "scheduler/store/event_codec.h"

#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/queue/job_codec.h"
#include "scheduler/store/task_store.h"

namespace fairlead::store {
namespace {

// The fields of one entry, in its reply; repeated "b" fields (task records of a submit) apart.
struct Fields {
  std::vector<std::pair<absl::string_view, const std::string*>>
      values;  // A dozen: searched through.
  std::vector<const std::string*> batch;
  std::vector<absl::string_view> ended;  // What stands behind "classes".

  const std::string& Text(absl::string_view name) const {
    static const std::string* empty = new std::string();
    for (const auto& [key, value] : values) {
      if (key == name) return *value;
    }
    return *empty;
  }
  int64_t Int(absl::string_view name) const {
    int64_t value = 0;
    return absl::SimpleAtoi(Text(name), &value) ? value : 0;
  }
};

Fields ReadFields(const redis::Reply& list) {
  Fields fields;
  fields.values.reserve(list.elements.size() / 2);
  bool classes = false;
  for (size_t i = 0; i + 1 < list.elements.size(); i += 2) {
    const std::string& name = list.elements[i].text;
    const std::string& value = list.elements[i + 1].text;
    if (classes) {
      fields.ended.push_back(name);
      fields.ended.push_back(value);
    } else if (name == "b") {
      fields.batch.push_back(&value);
    } else {
      classes = name == "classes";
      fields.values.emplace_back(name, &value);
    }
  }
  return fields;
}

bool DecodeSubmit(const Fields& fields, v1::Event& event) {
  v1::TasksSubmitted& body = *event.mutable_tasks_submitted();
  body.set_request_id(fields.Text("q"));
  body.set_body_hash(fields.Text("h"));
  for (const std::string* record : fields.batch) {
    if (!body.add_tasks()->ParseFromString(*record)) return false;
  }
  return true;
}

bool DecodePlacement(const Fields& fields, v1::Event& event) {
  v1::Placement& place = *event.mutable_placement();
  place.set_contractor(fields.Text("c"));
  place.set_assignment(fields.Text("a"));
  place.set_token(fields.Text("tk"));
  place.set_state(PlacementStateOf(fields.Text("ps")));
  place.set_deadline_ms(fields.Int("dl"));
  place.set_offered_ms(fields.Int("of"));
  place.set_work_ms(fields.Int("wk"));
  place.set_accepted_ms(fields.Int("ac"));
  return place.state() != v1::Placement::STATE_UNSPECIFIED;
}

bool DecodeAnnotation(const Fields& fields, v1::Event& event, v1::AnnotationRecord& body) {
  if (!body.ParseFromString(fields.Text("r"))) return false;
  body.set_accept_ms(event.time_ms());
  body.set_late(fields.Int("lt") != 0);
  body.set_offered_ms(fields.Int("of"));
  body.set_accepted_ms(fields.Int("ac"));
  body.set_surplus(fields.Int("sp") != 0);
  return true;
}

// What a worker of an older version, with its own library, has told.
bool DecodeJob(const Fields& fields, v1::Event& event) {
  v1::JobFinished& body = *event.mutable_job_finished();
  body.set_dead(fields.Int("dead") != 0);
  body.set_error(fields.Text("err"));
  body.set_attempts(static_cast<int32_t>(fields.Int("attempts")));
  body.set_crashes(static_cast<int32_t>(fields.Int("crashes")));
  return body.mutable_job()->ParseFromString(fields.Text("rec")) &&
         body.mutable_result()->ParseFromString(fields.Text("res"));
}

// What one call to a machine lane ended (lua/lane3.*.lua); "jobs" is of the version before.
bool DecodeJobs(const std::string& kind, const Fields& fields, v1::Event& event) {
  absl::StatusOr<std::vector<v1::JobFinished>> ended =
      queue::DecodeEnded(kind, fields.Text("classes"), fields.ended);
  if (!ended.ok()) return false;
  for (v1::JobFinished& one : *ended) {
    *event.mutable_jobs_finished()->add_jobs() = std::move(one);
  }
  return true;
}

bool DecodeBody(const std::string& kind, const Fields& fields, v1::Event& event) {
  const std::string& record = fields.Text("r");
  if (kind == "submit") return DecodeSubmit(fields, event);
  if (kind == "place") return DecodePlacement(fields, event);
  if (kind == "annotate") return DecodeAnnotation(fields, event, *event.mutable_annotated());
  if (kind == "erase") return event.mutable_erased()->ParseFromString(record);
  if (kind == "orphan") return DecodeAnnotation(fields, event, *event.mutable_orphaned());
  if (kind == "complete") return event.mutable_completed()->ParseFromString(record);
  if (kind == "retract") return event.mutable_gold_retracted()->ParseFromString(record);
  if (kind == "end") {
    event.mutable_ended()->set_state(TaskStateOf(fields.Text("st")));
    event.mutable_ended()->set_reason(record);
    return true;
  }
  if (kind == "want") return event.set_want_changed(true), true;
  if (kind == "prelabel") return event.mutable_prelabelled()->ParseFromString(record);
  if (kind == "start") return event.set_promoted_due(true), true;
  if (kind == "replay") {
    event.set_expire_ms(fields.Int("ex"));
    return event.set_replayed(true), true;
  }
  if (kind == "report") {
    event.mutable_reported()->set_contractor(fields.Text("c"));
    event.mutable_reported()->set_reason(record);
    return true;
  }
  if (kind == "project") return event.mutable_project_put()->ParseFromString(record);
  if (kind == "tenant") return event.mutable_tenant_put()->ParseFromString(record);
  if (kind == "token") return event.mutable_token_put()->ParseFromString(record);
  if (kind == "model") return event.mutable_model_put()->ParseFromString(record);
  if (kind == "contractor") return event.mutable_contractor_put()->ParseFromString(record);
  if (kind == "presence") {
    event.mutable_presence()->set_contractor(fields.Text("c"));
    event.mutable_presence()->set_credit(static_cast<int32_t>(fields.Int("cr")));
    event.mutable_presence()->set_until_ms(fields.Int("ex"));
    return true;
  }
  if (kind == "job") return DecodeJob(fields, event);
  if (kind == "ended" || kind == "jobs") return DecodeJobs(kind, fields, event);
  return false;
}

}  // namespace

absl::StatusOr<v1::Event> DecodeEvent(absl::string_view slot, absl::string_view incarnation,
                                      const redis::Reply& entry) {
  if (entry.elements.size() != 2) return absl::DataLossError("stream entry of a wrong shape");
  const Fields fields = ReadFields(entry.elements[1]);
  v1::Event event;
  event.set_slot(std::string(slot));
  event.set_incarnation(std::string(incarnation));
  const std::vector<std::string> id = absl::StrSplit(entry.elements[0].text, '-');
  uint64_t seq = 0;
  if (!absl::SimpleAtoi(id[0], &seq) || seq == 0) {
    return absl::DataLossError(absl::StrCat("stream entry with id ", entry.elements[0].text));
  }
  event.set_seq(seq);
  event.set_time_ms(fields.Int("t"));
  event.set_key(fields.Text("id"));
  event.set_project(fields.Text("p"));
  event.set_version(fields.Int("v"));
  event.set_want(static_cast<int32_t>(fields.Int("w")));
  event.set_have(static_cast<int32_t>(fields.Int("h")));
  event.set_open(static_cast<int32_t>(fields.Int("o")));
  if (!DecodeBody(fields.Text("k"), fields, event)) {
    return absl::DataLossError(
        absl::StrCat("event ", slot, "/", seq, " of kind '", fields.Text("k"), "' cannot be read"));
  }
  return event;
}

const v1::AnnotationRecord* PaidWork(const v1::Event& event) {
  if (event.has_annotated()) return &event.annotated();
  return event.orphaned().surplus() ? &event.orphaned() : nullptr;
}

bool IsVolatile(const v1::Event& event) {
  if (event.has_placement()) return event.placement().state() != v1::Placement::LAPSED;
  return event.has_presence() || event.has_promoted_due();
}

}  // namespace fairlead::store
