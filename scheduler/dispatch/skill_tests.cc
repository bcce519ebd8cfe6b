#include "scheduler/dispatch/skill_tests.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace fairlead::dispatch {
namespace {

absl::string_view TenantOf(absl::string_view project) {
  return project.substr(0, project.find('/'));
}

std::string Proven(absl::string_view tenant, absl::string_view skill) {
  return absl::StrCat(tenant, "/", skill);
}

std::string Barred(absl::string_view test) { return absl::StrCat("!", test); }

}  // namespace

void SkillTests::TouchDue(int64_t now_ms) {
  while (!due_.empty() && due_.begin()->first <= now_ms) {
    view_->Touch(due_.begin()->second);
    due_.erase(due_.begin());
  }
}

void SkillTests::AddTo(const std::string& contractor, int64_t now_ms,
                       std::vector<std::string>& skills) {
  if (!book_->has_tests()) return;
  for (const quality::TestStanding& standing : book_->Of(contractor)) {
    const int64_t from_ms = quality::AskableFrom(standing.takes, standing.rules);
    if (quality::HasPassed(standing.takes)) {
      skills.push_back(Proven(TenantOf(standing.project), standing.skill));
    }
    if (from_ms <= now_ms) continue;
    skills.push_back(Barred(standing.project));
    if (from_ms != quality::kNever) due_.emplace(from_ms, contractor);
  }
  for (const HeldPlace& held : view_->PlacesOf(contractor)) {
    if (book_->IsTest(held.project)) skills.push_back(Barred(held.project));
  }
  std::sort(skills.begin(), skills.end());
  skills.erase(std::unique(skills.begin(), skills.end()), skills.end());
}

void SkillTests::SetTerms(const store::v1::ProjectRecord& project, ReadyTask& task) const {
  const fairlead::v1::ProjectSettings& settings = project.settings();
  const absl::string_view tenant = TenantOf(project.project());
  bool tested = false;
  for (const std::string& skill : settings.required_skills()) {
    const bool this_one = book_->IsTested(tenant, skill);
    task.required_skills.push_back(this_one ? Proven(tenant, skill) : skill);
    tested = tested || this_one;
  }
  if (tested) {
    task.named_skills.assign(settings.required_skills().begin(), settings.required_skills().end());
  }
  if (settings.has_qualification()) {
    task.excluded_skill = Barred(project.project());
    task.places = std::min(task.places, kPlacesARound);
  }
}

bool SkillTests::MayBeAsked(const std::string& contractor, absl::string_view test,
                            int64_t now_ms) const {
  if (book_->AskableFrom(contractor, test) > now_ms) return false;
  const std::vector<HeldPlace> held = view_->PlacesOf(contractor);
  return std::none_of(held.begin(), held.end(),
                      [&](const HeldPlace& place) { return place.project == test; });
}

}  // namespace fairlead::dispatch
