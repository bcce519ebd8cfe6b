// What is known of one contractor at one kind of work (architecture §7): quality, pace and
// responsiveness, three numbers and never one total. Pure: no clock, no I/O; thread-safe. A score
// is a fold of the record log's evidence, so the same records in the same order give the same bits.
//
// Quality: share of right answers ~ Beta(kPriorRight + right, kPriorWrong + wrong). Prior 0.75 with
// the weight of 6 answers: newcomers on the public crowd sets are right 70–80 % of the time, and
// six gold answers must be able to tell a newcomer from the crowd. Every judged answer forgets half
// a per cent of what was before; absence halves the evidence in 60 days, so the interval grows
// again. Pace: log-normal with clipped residuals, by active time only, and never a part of quality
// (speed and accuracy do not go together on real crowds).
// Responsiveness: hazard of accepting ~ Gamma; an offer that lapses is censored, not slow. Declines
// are not passed here at all: declining is a right. Beside it, for the offer's window alone, the
// same in two parts, as in a cure model (Boag 1949; Berkson & Gage 1952): whether he was there to
// see the offer, and how soon he accepts if he was. Each lapse is shared out between "away" and
// "slow" by what is known then (EM online; Titterington 1984), so that a short window does not make
// itself shorter.
#pragma once

#include <cstdint>

#include "fairlead/store/v1/records.pb.h"
#include "fairlead/v1/resources.pb.h"

namespace fairlead::quality {

// Names the formulas of this header and of dispatch/policy.h; a change of either changes it.
inline constexpr char kPolicyVersion[] = "dispatch/2";

inline constexpr double kPriorRight = 4.5;
inline constexpr double kPriorWrong = 1.5;
inline constexpr double kForgetAnswer = 0.995;  // What one more judged answer leaves.
inline constexpr int64_t kQualityHalfLifeMs = 60LL * 86'400'000;
inline constexpr int64_t kAcceptHalfLifeMs = 14LL * 86'400'000;

// One contractor × one TaskKind; plain values, copyable; zeros mean nothing is known yet.
struct ContractorScore {
  double right = 0, wrong = 0;            // Judged answers, by weight, decayed to last_ms.
  int64_t judged = 0;                     // How many answers were judged ever.
  int64_t annotations = 0;                // Accepted answers ever; counted by AddPace.
  int64_t gold_seen = 0, gold_right = 0;  // Of the judged.
  int64_t gold_answers = 0;               // Of the annotations; judged or not yet.
  double log_pace_mean = 0;               // Of the natural logarithm of active seconds.
  double log_pace_spread = 0;             // Sum of squared deviations from it, by the same weights.
  double pace_weight = 0;   // Effective number of timed answers behind it, at most about 70.
  double accept_shape = 0;  // Offers accepted, decayed.
  double accept_exposure_seconds = 0;  // Time that offers lay open, accepted or lapsed, decayed.
  double lapses = 0;                   // Offers lapsed, decayed;
  double absences = 0;                 // how many of them because he was away, as expected;
  double present_seconds = 0;          // time that the other offers lay open, decayed.
  int64_t last_ms = 0;                 // UTC; up to when the decay is applied.
};

struct Interval {
  double mean, low, high;
};

// Brings the decayed numbers forward to now_ms; earlier times change nothing.
void Decay(int64_t now_ms, ContractorScore& s);

// Folds one judged answer. Evidence that is not finite or without weight changes nothing; `right`
// and `weight` are clamped to [0, 1].
void AddEvidence(const store::v1::Evidence& e, int64_t now_ms, ContractorScore& s);

// Where a judged answer stands in a score: what it takes to find what is left of it later.
struct EvidenceMark {
  int64_t judged = 0;  // Of the score right after it was folded,
  int64_t ms = 0;      // and to when it was decayed.
};
EvidenceMark MarkOf(const ContractorScore& s);

// Takes a judged answer out again: what time and later answers have left of it. The score is then
// as if the answer had never been judged, but for what was forgotten for it: the answers before it
// weigh half a per cent less than they would. Never below nothing; gold counts are corrected.
void RetractEvidence(const store::v1::Evidence& e, const EvidenceMark& mark, ContractorScore& s);

// Counts one accepted annotation and, where active_seconds is finite and above 0, its pace. The
// residual is clipped at 2.5 log units: a coffee break is not a working speed. Half-life 50
// answers.
void AddPace(double active_seconds, ContractorScore& s);

// One offer, accepted or lapsed after lying open for seconds_exposed.
void AddOfferOutcome(bool accepted, double seconds_exposed, int64_t now_ms, ContractorScore& s);

// Posterior mean and central 90 % interval of the share of right answers.
Interval Quality(const ContractorScore& s);
Interval Quality(const ContractorScore& s, int64_t now_ms);  // After decay to now_ms.
double QualityMean(const ContractorScore& s);
// Whether the interval's lower end is at least `least`, in (0, 1); cheaper than the interval.
bool IsProven(const ContractorScore& s, double least);
double QualitySd(const ContractorScore& s);  // Posterior standard deviation.
double Evidence(const ContractorScore& s);   // Effective number of judged answers.

// P(accepts within window_seconds) = 1 − (b/(b + window))^a (Lomax). The prior says 70 % of the
// window asked about, whatever its length. In (0, 1); 0 where the window is not above 0.
double AcceptProbability(const ContractorScore& s, double window_seconds);

// How long an offer should stand, in (0, project_seconds]: no longer than the project's window, and
// where that is more than kHumaneWindowSeconds, no longer than it takes to learn that he is away.
// The tau of the least expected time until somebody accepts, if whoever is asked next is like him:
//   E[T] = (∫0..tau (1 − F) dt + kReofferSeconds · (1 − F(tau))) / F(tau)
// F(t) = p · (1 − (b/(b + t))^a), with p the share of offers for which he is there, a the offers
// accepted and b the time they lay open. With less than kLeastOffers offers known, or half as many
// accepted, the project's window. Never a part of the quality, nor of AcceptProbability().
double OfferWindowSeconds(const ContractorScore& s, double project_seconds);
inline constexpr double kHumaneWindowSeconds = 30;  // To read it and to decide without haste.
// What a lapse costs: the way to the next one, and him who was about to accept.
inline constexpr double kReofferSeconds = 15;
inline constexpr double kLeastOffers = 10;  // Decayed.

// P(he is there when he is offered something): Beta(4 + there, 1 + away).
double PresentProbability(const ContractorScore& s);

// Mean active seconds of an answer, as cost and capacity need it: of the log-normal whose median is
// shrunk towards that of a crowd with mean fallback_seconds (> 0) with the weight of 1.5 answers,
// and its variance towards the crowd's with the weight of 3.
double ExpectedSeconds(const ContractorScore& s, double fallback_seconds);

// What nineteen of twenty of his answers take less than, by the same log-normal; +infinity with
// fewer than kLeastPace timed answers behind it.
double SlowSeconds(const ContractorScore& s, double fallback_seconds);
inline constexpr double kLeastPace = 5;

v1::Scorecard ToScorecard(v1::TaskKind kind, const ContractorScore& s, double window_seconds);

// A Thompson sample of the quality: the same seed gives the same bits.
double SampleQuality(const ContractorScore& s, uint64_t seed);

}  // namespace fairlead::quality
