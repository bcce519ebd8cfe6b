#include "scheduler/quality/forecast.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "scheduler/quality/redundancy.h"

namespace fairlead::quality {

v1::Project::Forecast ForecastOf(const v1::ProjectSettings& settings, int64_t rate_micros,
                                 const Progress& progress) {
  const RedundancyLimits limits = Limits(settings.redundancy());
  const double a_task = progress.completed > 0 ? static_cast<double>(progress.completed_answers) /
                                                     static_cast<double>(progress.completed)
                                               : (limits.min_answers + limits.max_answers) / 2.0;
  const double to_go = static_cast<double>(progress.waiting) * a_task -
                       static_cast<double>(progress.waiting_answers);
  v1::Project::Forecast forecast;
  forecast.set_answers_per_task(a_task);
  forecast.set_answers_to_go(std::max(to_go, static_cast<double>(progress.held)));
  forecast.set_paid_micros(progress.paid_micros);
  forecast.set_to_go_micros(
      std::llround(forecast.answers_to_go() * static_cast<double>(rate_micros)));
  forecast.set_budget_spent(AffordableOffers(settings.budget_micros(), rate_micros, progress) == 0);
  return forecast;
}

int64_t AffordableOffers(int64_t budget_micros, int64_t rate_micros, const Progress& progress) {
  if (budget_micros <= 0 || rate_micros <= 0) return std::numeric_limits<int64_t>::max();
  const int64_t answers = (budget_micros - progress.paid_micros) / rate_micros;
  return std::max<int64_t>(answers - progress.held, 0);
}

}  // namespace fairlead::quality
