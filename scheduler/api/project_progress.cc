#include "scheduler/api/project_progress.h"

#include "absl/strings/str_cat.h"

namespace fairlead::api {

quality::Progress ProgressOf(const Parts& parts, absl::string_view project) {
  // First what is under way: see spend_book.h.
  const dispatch::ProjectLoad load = parts.view->LoadOf(project);
  quality::Progress progress = parts.spend->Of(project);
  progress.waiting = load.tasks;
  progress.waiting_answers = load.answers;
  progress.held = load.held;
  return progress;
}

std::string WhyNotOffered(const Parts& parts, const store::v1::ProjectRecord& project) {
  const int64_t budget = project.settings().budget_micros();
  const v1::PayRate& rate = store::CurrentRate(project);
  const quality::Progress progress = ProgressOf(parts, project.project());
  if (quality::AffordableOffers(budget, rate.micros_per_annotation(), progress) > 0) return "";
  return absl::StrCat("not offered any more: of settings.budget_micros = ", budget, " ",
                      progress.paid_micros, " are paid and ", progress.held, " answers at ",
                      rate.micros_per_annotation(),
                      " may still come; raise it, or wait for what lapses");
}

}  // namespace fairlead::api
