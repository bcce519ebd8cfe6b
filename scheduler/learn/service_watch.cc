#include "scheduler/learn/service_watch.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/learn/registry_steps.h"

namespace fairlead::learn {
namespace {

using store::v1::ModelVersionRecord;

constexpr int64_t kWatched = 300;
constexpr int64_t kEnough = 50;
constexpr double kWorse = 3.09;  // One-sided 0.1 %.

bool SameAnswer(const fairlead::v1::Answer& a, const fairlead::v1::Answer& b) {
  return a.value_case() == b.value_case() && a.text() == b.text() &&
         a.preferred() == b.preferred() && a.class_name() == b.class_name();
}

double Share(const ModelVersionRecord& version) {
  return static_cast<double>(version.served_right()) / static_cast<double>(version.served());
}

}  // namespace

int64_t Outcomes::total() const {
  int64_t total = 0;
  for (const auto& [version, count] : versions) total += count.served;
  return total;
}

void ServiceWatch::Apply(const store::v1::Event& event) {
  MutexLock lock(&mu_);
  if (event.has_prelabelled()) {
    open_[event.key()] = event.prelabelled();
    return;
  }
  if (!event.has_completed() && !event.has_ended()) return;
  const auto found = open_.find(event.key());
  if (found == open_.end()) return;
  const store::v1::PrelabelRecord prelabel = std::move(found->second);
  open_.erase(found);
  if (!event.has_completed() || event.completed().answers() == 0) return;
  const bool right = SameAnswer(prelabel.answer(), event.completed().answer());
  Project& project = projects_[event.project()];
  Outcomes::Count& count = project.outcomes.versions[prelabel.model_version()];
  ++count.served;
  count.right += right ? 1 : 0;
  if (project.version != prelabel.model_version()) {
    project.version = prelabel.model_version();
    project.error = Adwin();
    project.outcomes.drift_ms = 0;
  }
  if (project.error.Add(right ? 0 : 1)) project.outcomes.drift_ms = event.time_ms();
}

Outcomes ServiceWatch::Of(absl::string_view project) const {
  MutexLock lock(&mu_);
  const auto found = projects_.find(project);
  return found == projects_.end() ? Outcomes() : found->second.outcomes;
}

bool NoteOutcomes(const Outcomes& outcomes, store::v1::ModelRecord& model) {
  bool grown = false;
  for (ModelVersionRecord& version : *model.mutable_versions()) {
    const auto found = outcomes.versions.find(version.version());
    if (found == outcomes.versions.end() || found->second.served <= version.served()) continue;
    version.set_served(found->second.served);
    version.set_served_right(found->second.right);
    grown = true;
  }
  return grown;
}

bool RollBackIfWorse(store::v1::ModelRecord& model) {
  const ModelVersionRecord* champion = FindVersion(model, model.champion());
  const ModelVersionRecord* former = FindVersion(model, model.previous());
  if (champion == nullptr || former == nullptr) return false;
  if (champion->served() < kEnough || former->served() < kEnough) return false;
  if (champion->served() >= kWatched) return false;
  const double pooled = static_cast<double>(champion->served_right() + former->served_right()) /
                        static_cast<double>(champion->served() + former->served());
  const double error = std::sqrt(
      pooled * (1 - pooled) *
      (1 / static_cast<double>(champion->served()) + 1 / static_cast<double>(former->served())));
  if (Share(*former) - Share(*champion) <= kWorse * error) return false;
  const std::string why = absl::StrFormat(
      "taken back: in service right on %d of %d, %s on %d of %d", champion->served_right(),
      champion->served(), former->version(), former->served_right(), former->served());
  for (ModelVersionRecord& version : *model.mutable_versions()) {
    if (version.version() != model.champion()) continue;
    version.set_gate_decision(absl::StrCat(version.gate_decision(), "; ", why));
  }
  return Rollback(model).ok();
}

}  // namespace fairlead::learn
