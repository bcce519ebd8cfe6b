// What the formula (policy.h) is told about a contractor: everything but the task at hand. The
// dispatcher and the replay of public data both come here, so what is tuned is what runs. Pure;
// thread-safe.
#pragma once

#include <cstdint>

#include "scheduler/dispatch/policy.h"
#include "scheduler/quality/score.h"

namespace fairlead::dispatch {

// A contractor at one kind of work.
struct Standing {
  double right = 0, wrong = 0;  // Judged answers, decayed; for the Thompson sample.
  double quality_mean = 0;
  double quality_sd = 0;
  double expected_seconds = 1;
  double responsiveness = 1;  // P(accepts within the window) over the plateau of 0.8, at most 1.
  double newcomer = 0;        // 1 without judged answers, 0 with policy.newcomer_evidence of them.
};

// `score` as decayed to now; `offer_window_seconds` > 0.
Standing StandingOf(const quality::ContractorScore& score, double offer_window_seconds,
                    const Policy& policy);

// The quality that a decision goes by: a sample of the posterior, the same for the same seed.
double SampleQuality(const Standing& standing, uint64_t seed);

// What all contractors had and how long they were there, in any unit that is the same for all.
struct Totals {
  double earned = 0;
  double online = 0;
  double contractors = 0;
};

// Entitled over had. One half of what there was is due to time online, as benefits proportional to
// activity (Sühr et al., KDD 2019) ask; the other half to each alike, so that those who could come
// seldom are not kept out by those who are always there. Both sides carry one mean in addition, so
// that the first offers do not swing it. In (0, kMaxFairShare]; 1 before anybody had anything.
double FairShare(double earned, double online, const Totals& totals);

}  // namespace fairlead::dispatch
