#include "scheduler/api/convert.h"

#include "nlohmann/json.hpp"
#include "scheduler/api/names.h"
#include "scheduler/store/registry_view.h"

namespace fairlead::api {

google::protobuf::Timestamp ToTimestamp(int64_t unix_ms) {
  google::protobuf::Timestamp timestamp;
  timestamp.set_seconds(unix_ms / 1000);
  timestamp.set_nanos(static_cast<int32_t>(unix_ms % 1000) * 1'000'000);
  return timestamp;
}

google::protobuf::Duration ToDuration(int64_t ms) {
  google::protobuf::Duration duration;
  duration.set_seconds(ms / 1000);
  duration.set_nanos(static_cast<int32_t>(ms % 1000) * 1'000'000);
  return duration;
}

int64_t ToMillis(const google::protobuf::Duration& duration) {
  return duration.seconds() * 1000 + duration.nanos() / 1'000'000;
}

int64_t ToMillis(const google::protobuf::Timestamp& timestamp) {
  return timestamp.seconds() * 1000 + timestamp.nanos() / 1'000'000;
}

v1::Project ToProject(const store::v1::ProjectRecord& record, const store::ProjectCounts& counts) {
  v1::Project project;
  project.set_name(ProjectNameOf(record.project()));
  *project.mutable_settings() = record.settings();
  *project.mutable_pay_rates() = record.pay_rates();
  project.set_state(record.paused() ? v1::Project::STATE_PAUSED : v1::Project::STATE_ACTIVE);
  project.set_revision(record.revision());
  *project.mutable_create_time() = ToTimestamp(record.create_ms());
  v1::Project::Counts& out = *project.mutable_counts();
  out.set_submitted(counts.submitted);
  out.set_ready(counts.ready);
  out.set_delayed(counts.delayed);
  out.set_open(counts.open);
  out.set_completed(counts.completed);
  out.set_cancelled(counts.cancelled);
  out.set_expired(counts.expired);
  out.set_dead(counts.dead);
  out.set_annotations(counts.annotations);
  return project;
}

v1::Task ToTask(const store::TaskState& state, bool with_annotations) {
  const store::v1::TaskRecord& record = state.record;
  v1::Task task;
  task.set_name(TaskNameOf(record.project(), record.task()));
  *task.mutable_payload() = record.payload();
  task.set_state(state.state);
  task.set_priority(record.priority());
  task.set_gold(record.has_gold());
  task.set_group(record.group());
  task.set_external_id(record.external_id());
  if (!record.checks().empty()) task.set_checks(TaskNameOf(record.project(), record.checks()));
  *task.mutable_create_time() = ToTimestamp(record.create_ms());
  *task.mutable_expire_time() = ToTimestamp(record.expire_ms());
  if (record.start_ms() > 0) *task.mutable_start_time() = ToTimestamp(record.start_ms());
  task.set_wanted_answers(state.want);
  task.set_received_answers(state.have);
  task.set_end_reason(state.end_reason);
  if (state.has_prelabel) *task.mutable_prelabel() = ToPrelabel(state.prelabel);
  if (state.has_label) *task.mutable_label() = ToLabel(record, state.label, 0);
  if (!with_annotations) return task;
  for (const store::v1::AnnotationRecord& source : state.annotations) {
    v1::Annotation& annotation = *task.add_annotations();
    annotation.set_assignment(
        AssignmentNameOf(record.project(), record.task(), source.assignment()));
    annotation.set_contractor(ContractorNameOf(source.contractor()));
    if (source.has_answer()) *annotation.mutable_answer() = source.answer();
    annotation.set_deleted(source.erased());
    *annotation.mutable_active_time() = ToDuration(source.active_ms());
    *annotation.mutable_create_time() = ToTimestamp(source.accept_ms());
  }
  return task;
}

v1::Label ToLabel(const store::v1::TaskRecord& task, const store::v1::LabelRecord& record,
                  int64_t complete_ms) {
  v1::Label label;
  label.set_task(TaskNameOf(task.project(), task.task()));
  label.set_external_id(task.external_id());
  *label.mutable_answer() = record.answer();
  label.set_confidence(record.confidence());
  label.set_raw_confidence(record.raw_confidence());
  label.set_answers(record.answers());
  label.set_used_prelabel(record.used_prelabel());
  label.set_gold(task.has_gold());
  if (!task.checks().empty()) label.set_checks(TaskNameOf(task.project(), task.checks()));
  label.set_aggregation(record.aggregation());
  label.set_adjudicated(record.adjudicated());
  label.set_retracted(record.retracted());
  if (complete_ms > 0) *label.mutable_complete_time() = ToTimestamp(complete_ms);
  return label;
}

v1::Prelabel ToPrelabel(const store::v1::PrelabelRecord& record) {
  v1::Prelabel prelabel;
  *prelabel.mutable_answer() = record.answer();
  prelabel.set_confidence(record.confidence());
  prelabel.set_model_version(record.model_version());
  return prelabel;
}

v1::Offer ToOffer(const store::v1::ProjectRecord& project, const std::string& task,
                  const store::v1::Placement& place) {
  v1::Offer offer;
  offer.set_assignment(AssignmentNameOf(project.project(), task, place.assignment()));
  offer.set_token(place.token());
  offer.set_kind(project.settings().answer_schema().kind());
  offer.set_pay_micros(store::CurrentRate(project).micros_per_annotation());
  offer.set_currency(store::CurrentRate(project).currency());
  *offer.mutable_accept_before() = ToTimestamp(place.deadline_ms());
  *offer.mutable_work_window() = ToDuration(place.work_ms());
  offer.set_project(ProjectNameOf(project.project()));
  offer.set_explanation(offer.assignment());
  return offer;
}

v1::Receipt ToReceipt(const std::string& project, const store::v1::AnnotationRecord& record) {
  v1::Receipt receipt;
  receipt.set_assignment(AssignmentNameOf(project, record.task(), record.assignment()));
  receipt.set_pay_micros(record.pay().micros());
  receipt.set_currency(record.pay().currency());
  receipt.set_pay_rate_version(record.pay().rate_version());
  *receipt.mutable_accept_time() = ToTimestamp(record.accept_ms());
  receipt.set_late(record.late());
  receipt.set_surplus(record.surplus());
  return receipt;
}

v1::PayEntry ToPayEntry(const store::v1::AnnotationRecord& record) {
  v1::PayEntry entry;
  entry.set_assignment(
      AssignmentNameOf(record.pay().project(), record.task(), record.assignment()));
  entry.set_contractor(ContractorNameOf(record.contractor()));
  entry.set_project(ProjectNameOf(record.pay().project()));
  entry.set_micros(record.pay().micros());
  entry.set_currency(record.pay().currency());
  entry.set_rate_version(record.pay().rate_version());
  *entry.mutable_create_time() = ToTimestamp(record.accept_ms());
  return entry;
}

v1::Contractor ToContractor(const store::v1::ContractorRecord& record) {
  v1::Contractor contractor;
  contractor.set_name(ContractorNameOf(record.contractor()));
  contractor.set_display_name(record.display_name());
  *contractor.mutable_skills() = record.skills();
  *contractor.mutable_languages() = record.languages();
  contractor.set_min_pay_micros(record.min_pay_micros());
  *contractor.mutable_opt_outs() = record.opt_outs();
  *contractor.mutable_create_time() = ToTimestamp(record.create_ms());
  return contractor;
}

v1::Qualification ToQualification(const quality::TestStanding& standing) {
  const quality::Take& take = *quality::DecidingTake(standing.takes);
  v1::Qualification qualification;
  qualification.set_project(ProjectNameOf(standing.project));
  qualification.set_skill(standing.skill);
  qualification.set_state(quality::StateOf(take));
  qualification.set_take(static_cast<int32_t>(&take - standing.takes.data()) + 1);
  qualification.set_questions(take.questions);
  qualification.set_answered(static_cast<int32_t>(take.answers.size()));
  qualification.set_right(take.right());
  if (take.decide_ms == 0) return qualification;
  *qualification.mutable_decide_time() = ToTimestamp(take.decide_ms);
  const int64_t retake_ms = quality::AskableFrom(standing.takes, standing.rules);
  if (retake_ms != quality::kNever) {
    *qualification.mutable_retake_time() = ToTimestamp(retake_ms);
  }
  return qualification;
}

v1::Model ToModel(const store::v1::ModelRecord& record) {
  v1::Model model;
  model.set_name(ModelNameOf(record.model()));
  model.set_kind(record.kind());
  model.set_champion(record.champion());
  model.set_previous(record.previous());
  model.set_revision(record.revision());
  model.set_checked_labels(record.checked_labels());
  model.set_doubted_labels(record.doubted_labels());
  return model;
}

namespace {

v1::ModelVersion::Rebuild ToRebuild(const store::v1::ModelVersionRecord& record) {
  using Rebuild = v1::ModelVersion::Rebuild;
  const store::v1::RebuildRecord& kept = record.rebuild();
  Rebuild rebuild;
  rebuild.set_blob(kept.blob());
  rebuild.set_error(kept.error());
  rebuild.set_deleted_items(kept.deleted_items());
  if (kept.end_ms() == 0) {
    rebuild.set_state(Rebuild::RUNNING);
    return rebuild;
  }
  *rebuild.mutable_end_time() = ToTimestamp(kept.end_ms());
  rebuild.set_state(kept.blob().empty()            ? Rebuild::FAILED
                    : kept.blob() == record.blob() ? Rebuild::SAME
                                                   : Rebuild::DIFFERENT);
  return rebuild;
}

// How a version did while it served, beside the metrics of its training.
void AddServiceMetrics(const store::v1::ModelVersionRecord& record,
                       google::protobuf::Map<std::string, double>& metrics) {
  const auto share = [&](const std::string& name, int64_t right, int64_t count) {
    if (count == 0) return;
    metrics[name + ".count"] = static_cast<double>(count);
    metrics[name + ".agreement"] = static_cast<double>(right) / static_cast<double>(count);
  };
  share("service", record.served_right(), record.served());
  share("anchoring.shown", record.anchoring().shown_agreed(), record.anchoring().shown());
  share("anchoring.blind", record.anchoring().blind_agreed(), record.anchoring().blind());
  if (record.has_shadow()) {
    const store::v1::ShadowRecord& shadow = record.shadow();
    metrics["shadow.count"] = static_cast<double>(shadow.both() + shadow.champion_only() +
                                                  shadow.shadow_only() + shadow.neither());
    metrics["shadow.champion_only"] = static_cast<double>(shadow.champion_only());
    metrics["shadow.shadow_only"] = static_cast<double>(shadow.shadow_only());
  }
  if (record.auto_accept_from() > 0) metrics["auto_accept.from"] = record.auto_accept_from();
}

}  // namespace

v1::ModelVersion ToModelVersion(const store::v1::ModelVersionRecord& record) {
  v1::ModelVersion version;
  version.set_name(record.version());
  version.set_blob(record.blob());
  version.set_parent(record.parent());
  version.set_manifest_blob(record.manifest_blob());
  version.set_state(record.state());
  *version.mutable_metrics() = record.metrics();
  AddServiceMetrics(record, *version.mutable_metrics());
  version.set_gate_decision(record.gate_decision());
  if (record.has_rebuild()) *version.mutable_rebuild() = ToRebuild(record);
  *version.mutable_create_time() = ToTimestamp(record.create_ms());
  return version;
}

v1::GetQueuesResponse::WorkerSession ToWorkerSession(const queue::SessionView& view) {
  v1::GetQueuesResponse::WorkerSession worker;
  worker.set_session(view.session);
  worker.set_leased(view.leased);
  *worker.mutable_lease_expire_time() = ToTimestamp(absl::ToUnixMillis(view.expire_time));
  worker.set_progress(view.progress);
  worker.set_device(view.able.device);
  const auto description = nlohmann::json::parse(view.description, nullptr, false);
  const auto text = [&description](const char* field) {
    const auto found = description.is_object() ? description.find(field) : description.end();
    return found != description.end() && found->is_string() ? found->get<std::string>()
                                                            : std::string();
  };
  worker.set_host(text("host"));
  if (worker.device().empty()) worker.set_device(text("device"));
  return worker;
}

}  // namespace fairlead::api
