#include "scheduler/learn/service_watch.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "scheduler/learn/registry_steps.h"

namespace fairlead::learn {
namespace {

using store::v1::ModelVersionRecord;
using store::v1::ShadowRecord;

constexpr int64_t kWatched = 300;
constexpr int64_t kEnough = 50;
constexpr double kLevel = 0.001;  // One-sided; as a z:
constexpr double kWorse = 3.09;

bool SameAnswer(const fairlead::v1::Answer& a, const fairlead::v1::Answer& b) {
  return a.value_case() == b.value_case() && a.text() == b.text() &&
         a.preferred() == b.preferred() && a.class_name() == b.class_name();
}

void NoteAnchoring(store::v1::AnnotationRecord::Prelabel prelabel, bool agreed,
                   store::v1::AnchoringRecord& record) {
  if (prelabel == store::v1::AnnotationRecord::SHOWN) {
    record.set_shown(record.shown() + 1);
    record.set_shown_agreed(record.shown_agreed() + (agreed ? 1 : 0));
  } else if (prelabel == store::v1::AnnotationRecord::BLIND) {
    record.set_blind(record.blind() + 1);
    record.set_blind_agreed(record.blind_agreed() + (agreed ? 1 : 0));
  }
}

void NoteShadow(const std::string& version, bool champion, bool shadow, ShadowRecord& record) {
  if (record.version() != version) {
    record.Clear();
    record.set_version(version);
  }
  if (champion && shadow) record.set_both(record.both() + 1);
  if (champion && !shadow) record.set_champion_only(record.champion_only() + 1);
  if (!champion && shadow) record.set_shadow_only(record.shadow_only() + 1);
  if (!champion && !shadow) record.set_neither(record.neither() + 1);
}

int64_t CountOf(const ShadowRecord& record) {
  return record.both() + record.champion_only() + record.shadow_only() + record.neither();
}

// P(X >= wins) of n fair coins.
double SignTail(int64_t wins, int64_t n) {
  double tail = 0;
  for (int64_t k = wins; k <= n; ++k) {
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) -
                     static_cast<double>(n) * std::log(2.0));
  }
  return tail;
}

double Share(const ModelVersionRecord& version) {
  return static_cast<double>(version.served_right()) / static_cast<double>(version.served());
}

// By the labels that each served, at different times; empty when it is not worse.
std::string WhyWorseApart(const ModelVersionRecord& champion, const ModelVersionRecord& former) {
  if (champion.served() < kEnough || former.served() < kEnough) return "";
  const double pooled = static_cast<double>(champion.served_right() + former.served_right()) /
                        static_cast<double>(champion.served() + former.served());
  const double error = std::sqrt(
      pooled * (1 - pooled) *
      (1 / static_cast<double>(champion.served()) + 1 / static_cast<double>(former.served())));
  if (Share(former) - Share(champion) <= kWorse * error) return "";
  return absl::StrFormat("in service right on %d of %d, %s on %d of %d", champion.served_right(),
                         champion.served(), former.version(), former.served_right(),
                         former.served());
}

std::string WhyWorse(const ModelVersionRecord& champion, const ModelVersionRecord& former) {
  const ShadowRecord& shadow = champion.shadow();
  if (shadow.version() != former.version() || CountOf(shadow) < kEnough) {
    return WhyWorseApart(champion, former);
  }
  const int64_t differ = shadow.champion_only() + shadow.shadow_only();
  const double p = SignTail(shadow.shadow_only(), differ);
  if (p > kLevel) return "";
  return absl::StrFormat(
      "people's first answers were its own on %d and those of %s in the shadow on %d of %d tasks "
      "that they read differently, p %.5f",
      shadow.champion_only(), former.version(), shadow.shadow_only(), CountOf(shadow), p);
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
    open_[event.key()].prelabel = event.prelabelled();
    return;
  }
  if (event.has_annotated()) return ApplyAnswer(event);
  if (!event.has_completed() && !event.has_ended()) return;
  const auto found = open_.find(event.key());
  if (found == open_.end()) return;
  const store::v1::PrelabelRecord prelabel = std::move(found->second.prelabel);
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

void ServiceWatch::ApplyAnswer(const store::v1::Event& event) {
  const auto found = open_.find(event.key());
  if (found == open_.end() || found->second.answered) return;
  found->second.answered = true;
  const store::v1::PrelabelRecord& prelabel = found->second.prelabel;
  Outcomes::Count& count = projects_[event.project()].outcomes.versions[prelabel.model_version()];
  const bool champion = SameAnswer(prelabel.answer(), event.annotated().answer());
  NoteAnchoring(event.annotated().prelabel(), champion, count.anchoring);
  if (prelabel.shadow_version().empty()) return;
  NoteShadow(prelabel.shadow_version(), champion,
             SameAnswer(prelabel.shadow_answer(), event.annotated().answer()), count.shadow);
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
    const Outcomes::Count& count = found->second;
    if (!count.shadow.version().empty()) *version.mutable_shadow() = count.shadow;
    if (count.anchoring.shown() + count.anchoring.blind() > 0) {
      *version.mutable_anchoring() = count.anchoring;
    }
    grown = true;
  }
  return grown;
}

bool IsWatched(const store::v1::ModelRecord& model) {
  const ModelVersionRecord* champion = FindVersion(model, model.champion());
  return champion != nullptr && champion->served() < kWatched &&
         FindVersion(model, model.previous()) != nullptr;
}

bool RollBackIfWorse(store::v1::ModelRecord& model) {
  if (!IsWatched(model)) return false;
  const std::string why =
      WhyWorse(*FindVersion(model, model.champion()), *FindVersion(model, model.previous()));
  if (why.empty()) return false;
  for (ModelVersionRecord& version : *model.mutable_versions()) {
    if (version.version() != model.champion()) continue;
    version.set_gate_decision(absl::StrCat(version.gate_decision(), "; taken back: ", why));
  }
  return Rollback(model).ok();
}

}  // namespace fairlead::learn
