// A task store behind a bad connection: some calls fail before their effect (the request was lost),
// some after it (the reply was lost). The caller sees UNAVAILABLE either way.
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "common/base/status.h"
#include "scheduler/store/task_store.h"
#include "tests/fakes/fault.h"

namespace fairlead::testing {

// Thread-compatible.
class FaultyTaskStore final : public store::TaskStore {
 public:
  // `plan(i)`: what happens to call number i, from 0.
  FaultyTaskStore(store::TaskStore* inner, std::function<Fault(int call)> plan)
      : TaskStore(inner->topology()), inner_(inner), plan_(std::move(plan)) {}

  int calls() const { return calls_; }

  absl::StatusOr<uint64_t> PutProject(const store::v1::ProjectRecord& record,
                                      int64_t expected_revision) override {
    return Run([&] { return inner_->PutProject(record, expected_revision); });
  }
  absl::StatusOr<store::Submitted> Submit(
      absl::string_view project, absl::string_view request_id, absl::string_view body_hash,
      const std::vector<store::v1::TaskRecord>& tasks) override {
    return Run([&] { return inner_->Submit(project, request_id, body_hash, tasks); });
  }
  absl::StatusOr<std::vector<bool>> Offer(absl::string_view slot,
                                          const std::vector<store::OfferTerms>& terms) override {
    return Run([&] { return inner_->Offer(slot, terms); });
  }
  absl::StatusOr<store::Accepted> Accept(const store::TaskRef& ref, absl::string_view contractor,
                                         absl::string_view token) override {
    return Run([&] { return inner_->Accept(ref, contractor, token); });
  }
  absl::StatusOr<store::Extended> Extend(const store::TaskRef& ref, absl::string_view contractor,
                                         absl::string_view token) override {
    return Run([&] { return inner_->Extend(ref, contractor, token); });
  }
  absl::StatusOr<uint64_t> Release(const store::TaskRef& ref, absl::string_view contractor,
                                   absl::string_view token, store::v1::Placement::State to,
                                   absl::string_view reason) override {
    return Run([&] { return inner_->Release(ref, contractor, token, to, reason); });
  }
  absl::StatusOr<store::Annotated> Annotate(const store::TaskRef& ref, absl::string_view contractor,
                                            absl::string_view token,
                                            const store::v1::AnnotationRecord& record) override {
    return Run([&] { return inner_->Annotate(ref, contractor, token, record); });
  }
  absl::StatusOr<bool> Complete(const store::TaskRef& ref, int64_t version,
                                const store::v1::LabelRecord& label) override {
    return Run([&] { return inner_->Complete(ref, version, label); });
  }
  absl::StatusOr<bool> SetWant(const store::TaskRef& ref, int64_t version, int32_t want) override {
    return Run([&] { return inner_->SetWant(ref, version, want); });
  }
  absl::StatusOr<uint64_t> End(const store::TaskRef& ref, v1::Task::State state,
                               absl::string_view reason) override {
    return Run([&] { return inner_->End(ref, state, reason); });
  }
  absl::Status Prelabel(const store::TaskRef& ref,
                        const store::v1::PrelabelRecord& record) override {
    return Run([&] { return inner_->Prelabel(ref, record); });
  }
  absl::Status Start(const store::TaskRef& ref) override {
    return Run([&] { return inner_->Start(ref); });
  }
  absl::StatusOr<uint64_t> Replay(const store::TaskRef& ref, absl::Time expire) override {
    return Run([&] { return inner_->Replay(ref, expire); });
  }
  absl::StatusOr<uint64_t> Erase(const store::TaskRef& ref,
                                 const store::v1::AnnotationRecord& left) override {
    return Run([&] { return inner_->Erase(ref, left); });
  }
  absl::StatusOr<uint64_t> Retract(const store::TaskRef& ref,
                                   const store::v1::LabelRecord& label) override {
    return Run([&] { return inner_->Retract(ref, label); });
  }
  absl::StatusOr<bool> Archive(const store::TaskRef& ref,
                               const store::ArchiveTerms& terms) override {
    return Run([&] { return inner_->Archive(ref, terms); });
  }
  absl::StatusOr<store::TaskState> Load(const store::TaskRef& ref) const override {
    return Run([&] { return inner_->Load(ref); });
  }
  absl::StatusOr<store::ProjectCounts> Counts(absl::string_view project) const override {
    return Run([&] { return inner_->Counts(project); });
  }

 private:
  template <typename Call>
  auto Run(Call&& call) const -> decltype(call()) {
    const absl::Status lost =
        Error(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE", "the connection broke");
    const Fault fault = plan_(calls_++);
    if (fault == Fault::kBefore) return lost;
    auto result = call();
    if (fault == Fault::kAfter) return lost;
    return result;
  }

  store::TaskStore* const inner_;
  const std::function<Fault(int)> plan_;
  mutable int calls_ = 0;
};

}  // namespace fairlead::testing
