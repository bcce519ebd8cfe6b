// Stored records into public resources. Pure.
#pragma once

#include <google/protobuf/duration.pb.h>
#include <google/protobuf/timestamp.pb.h>

#include "absl/time/time.h"
#include "common/queue/job_queue.h"
#include "fairlead/store/v1/records.pb.h"
#include "fairlead/v1/admin_service.pb.h"
#include "fairlead/v1/resources.pb.h"
#include "scheduler/quality/qualification_book.h"
#include "scheduler/store/task_store.h"

namespace fairlead::api {

google::protobuf::Timestamp ToTimestamp(int64_t unix_ms);
google::protobuf::Duration ToDuration(int64_t ms);
int64_t ToMillis(const google::protobuf::Duration& duration);
int64_t ToMillis(const google::protobuf::Timestamp& timestamp);

v1::Project ToProject(const store::v1::ProjectRecord& record, const store::ProjectCounts& counts);
v1::Task ToTask(const store::TaskState& state, bool with_annotations);
v1::Label ToLabel(const store::v1::TaskRecord& task, const store::v1::LabelRecord& label,
                  int64_t complete_ms);
v1::Prelabel ToPrelabel(const store::v1::PrelabelRecord& record);
v1::Offer ToOffer(const store::v1::ProjectRecord& project, const std::string& task,
                  const store::v1::Placement& place);
v1::Receipt ToReceipt(const std::string& project, const store::v1::AnnotationRecord& record);
v1::PayEntry ToPayEntry(const store::v1::AnnotationRecord& record);
v1::Contractor ToContractor(const store::v1::ContractorRecord& record);
v1::Qualification ToQualification(const quality::TestStanding& standing);
v1::Model ToModel(const store::v1::ModelRecord& record);
v1::ModelVersion ToModelVersion(const store::v1::ModelVersionRecord& record);
v1::GetQueuesResponse::WorkerSession ToWorkerSession(const queue::SessionView& view);

}  // namespace fairlead::api
