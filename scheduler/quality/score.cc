#include "scheduler/quality/score.h"

#include <cmath>

#include <algorithm>
#include <limits>

#include "scheduler/quality/beta.h"

namespace fairlead::quality {
namespace {

constexpr double kIntervalTail = 0.05;   // On either side of a quality's interval.
constexpr double kForgetPace = 0.98623;  // 2^(-1/50).
constexpr double kPacePriorWeight =
    1.5;  // Variance of an answer over variance between contractors.
constexpr double kClipLogPace = 2.5;
constexpr double kMinSeconds = 1e-3;
constexpr double kMaxSeconds = 86'400;
// Variance of log-seconds within a contractor, and the answers it counts for. On the public sets
// with times the standard deviation is 0.7 to 1.3.
constexpr double kPaceVariance = 1.0;
constexpr double kPaceVarianceWeight = 3;
// Prior of the accept hazard: two accepts over kPriorExposure windows, so that
// 1 - (e/(e+1))^2 = 0.7.
constexpr double kPriorAccepts = 2;
constexpr double kPriorExposure = 1.21165;
// Prior of being there when something is offered.
constexpr double kPriorPresent = 4;
constexpr double kPriorAway = 1;

double HalfLifeFactor(int64_t elapsed_ms, int64_t half_life_ms) {
  return std::exp2(-static_cast<double>(elapsed_ms) / static_cast<double>(half_life_ms));
}

constexpr double kNineteenOfTwenty = 1.6449;  // The normal distribution's quantile.

// Of log-seconds.
struct LogNormal {
  double median, variance;
};

LogNormal PaceOf(const ContractorScore& s, double fallback_seconds) {
  const double prior =
      std::log(std::clamp(fallback_seconds, kMinSeconds, kMaxSeconds)) - kPaceVariance / 2;
  return {(s.log_pace_mean * s.pace_weight + prior * kPacePriorWeight) /
              (s.pace_weight + kPacePriorWeight),
          (s.log_pace_spread + kPaceVariance * kPaceVarianceWeight) /
              (s.pace_weight + kPaceVarianceWeight)};
}

bool SaysSomething(const store::v1::Evidence& e) {
  return std::isfinite(e.right()) && std::isfinite(e.weight()) && e.weight() > 0;
}

// P(away | the offer lapsed after so many seconds).
double AwayProbability(const ContractorScore& s, double seconds) {
  const double present = PresentProbability(s);
  const double b = kPriorExposure * seconds + s.present_seconds;
  const double slow = std::pow(b / (b + seconds), kPriorAccepts + s.accept_shape);
  return (1 - present) / (1 - present + present * slow);
}

// What has to reach kReofferSeconds: the derivative of E[T] is below 0 as long as this is below it.
// It grows with tau, for the hazard falls. F/h − ∫0..tau (1 − F) dt, with h the hazard.
double WorthOfLapsing(double present, double a, double b, double tau) {
  const double left = std::pow(b / (b + tau), a);
  const double accepted = present * (1 - left);
  const double open = (1 - present) * tau + present * b / (a - 1) * (1 - left * (b + tau) / b);
  const double density = present * left * a / (b + tau);
  return density > 0 ? accepted * (1 - accepted) / density - open : HUGE_VAL;
}

}  // namespace

void Decay(int64_t now_ms, ContractorScore& s) {
  if (now_ms <= s.last_ms) return;
  if (s.last_ms > 0) {
    const double quality = HalfLifeFactor(now_ms - s.last_ms, kQualityHalfLifeMs);
    const double accept = HalfLifeFactor(now_ms - s.last_ms, kAcceptHalfLifeMs);
    s.right *= quality;
    s.wrong *= quality;
    s.accept_shape *= accept;
    s.accept_exposure_seconds *= accept;
    s.lapses *= accept;
    s.absences *= accept;
    s.present_seconds *= accept;
  }
  s.last_ms = now_ms;
}

void AddEvidence(const store::v1::Evidence& e, int64_t now_ms, ContractorScore& s) {
  if (!SaysSomething(e)) return;
  const double right = std::clamp(e.right(), 0.0, 1.0);
  const double weight = std::min(e.weight(), 1.0);
  Decay(now_ms, s);
  s.right = s.right * kForgetAnswer + weight * right;
  s.wrong = s.wrong * kForgetAnswer + weight * (1 - right);
  ++s.judged;
  if (!e.gold()) return;
  ++s.gold_seen;
  if (right >= 0.5) ++s.gold_right;
}

EvidenceMark MarkOf(const ContractorScore& s) { return {s.judged, s.last_ms}; }

void RetractEvidence(const store::v1::Evidence& e, const EvidenceMark& mark, ContractorScore& s) {
  if (!SaysSomething(e)) return;
  const double right = std::clamp(e.right(), 0.0, 1.0);
  const double left =
      std::min(e.weight(), 1.0) *
      std::pow(kForgetAnswer, static_cast<double>(std::max<int64_t>(s.judged - mark.judged, 0))) *
      HalfLifeFactor(std::max<int64_t>(s.last_ms - mark.ms, 0), kQualityHalfLifeMs);
  s.right = std::max(0.0, s.right - left * right);
  s.wrong = std::max(0.0, s.wrong - left * (1 - right));
  if (!e.gold()) return;
  s.gold_seen = std::max<int64_t>(0, s.gold_seen - 1);
  if (right >= 0.5) s.gold_right = std::max<int64_t>(0, s.gold_right - 1);
}

void AddPace(double active_seconds, ContractorScore& s) {
  ++s.annotations;
  if (!std::isfinite(active_seconds) || active_seconds <= 0) return;
  const double log_seconds = std::log(std::clamp(active_seconds, kMinSeconds, kMaxSeconds));
  if (s.pace_weight <= 0) {
    s.log_pace_mean = log_seconds;
    s.pace_weight = 1;
    return;
  }
  s.pace_weight = s.pace_weight * kForgetPace + 1;
  const double residual = std::clamp(log_seconds - s.log_pace_mean, -kClipLogPace, kClipLogPace);
  s.log_pace_mean += residual / s.pace_weight;
  s.log_pace_spread =
      s.log_pace_spread * kForgetPace + residual * residual * (1 - 1 / s.pace_weight);
}

void AddOfferOutcome(bool accepted, double seconds_exposed, int64_t now_ms, ContractorScore& s) {
  if (!std::isfinite(seconds_exposed) || seconds_exposed < 0) return;
  Decay(now_ms, s);
  s.accept_exposure_seconds += seconds_exposed;
  if (accepted) {
    s.accept_shape += 1;
    s.present_seconds += seconds_exposed;
    return;
  }
  const double away = seconds_exposed > 0 ? AwayProbability(s, seconds_exposed) : 0;
  s.lapses += 1;
  s.absences += away;
  s.present_seconds += (1 - away) * seconds_exposed;
}

double QualityMean(const ContractorScore& s) {
  return (kPriorRight + s.right) / (kPriorRight + kPriorWrong + s.right + s.wrong);
}

bool IsProven(const ContractorScore& s, double least) {
  return BetaCdf(kPriorRight + s.right, kPriorWrong + s.wrong, least) <= kIntervalTail;
}

double QualitySd(const ContractorScore& s) {
  const double mean = QualityMean(s);
  return std::sqrt(mean * (1 - mean) / (kPriorRight + kPriorWrong + s.right + s.wrong + 1));
}

double Evidence(const ContractorScore& s) { return s.right + s.wrong; }

Interval Quality(const ContractorScore& s) {
  const double a = kPriorRight + s.right;
  const double b = kPriorWrong + s.wrong;
  return {QualityMean(s), BetaQuantile(a, b, kIntervalTail), BetaQuantile(a, b, 1 - kIntervalTail)};
}

Interval Quality(const ContractorScore& s, int64_t now_ms) {
  ContractorScore later = s;
  Decay(now_ms, later);
  return Quality(later);
}

double AcceptProbability(const ContractorScore& s, double window_seconds) {
  if (!(window_seconds > 0)) return 0;
  const double exposure = kPriorExposure * window_seconds + s.accept_exposure_seconds;
  return 1 - std::pow(exposure / (exposure + window_seconds), kPriorAccepts + s.accept_shape);
}

double PresentProbability(const ContractorScore& s) {
  const double offers = s.accept_shape + s.lapses;
  return (kPriorPresent + offers - s.absences) / (kPriorPresent + kPriorAway + offers);
}

double OfferWindowSeconds(const ContractorScore& s, double project_seconds) {
  if (!(project_seconds > kHumaneWindowSeconds)) return project_seconds;
  if (s.accept_shape + s.lapses < kLeastOffers || s.accept_shape < kLeastOffers / 2) {
    return project_seconds;
  }
  const double present = PresentProbability(s);
  const double b = std::max(s.present_seconds, kMinSeconds);
  double low = kHumaneWindowSeconds;
  double high = project_seconds;
  const auto enough = [&](double tau) {
    return WorthOfLapsing(present, s.accept_shape, b, tau) >= kReofferSeconds;
  };
  if (enough(low)) return low;
  if (!enough(high)) return high;
  for (int i = 0; i < 40; ++i) {
    const double middle = 0.5 * (low + high);
    (enough(middle) ? high : low) = middle;
  }
  return high;
}

double ExpectedSeconds(const ContractorScore& s, double fallback_seconds) {
  const LogNormal pace = PaceOf(s, fallback_seconds);
  return std::exp(pace.median + pace.variance / 2);
}

double SlowSeconds(const ContractorScore& s, double fallback_seconds) {
  if (s.pace_weight < kLeastPace) return std::numeric_limits<double>::infinity();
  const LogNormal pace = PaceOf(s, fallback_seconds);
  return std::exp(pace.median + kNineteenOfTwenty * std::sqrt(pace.variance));
}

v1::Scorecard ToScorecard(v1::TaskKind kind, const ContractorScore& s, double window_seconds) {
  const Interval quality = Quality(s);
  v1::Scorecard card;
  card.set_kind(kind);
  card.set_quality_mean(quality.mean);
  card.set_quality_low(quality.low);
  card.set_quality_high(quality.high);
  card.set_evidence(Evidence(s));
  if (s.pace_weight > 0) {
    const int64_t nanos = std::llround(std::exp(s.log_pace_mean) * 1e9);
    card.mutable_median_pace()->set_seconds(nanos / 1'000'000'000);
    card.mutable_median_pace()->set_nanos(static_cast<int32_t>(nanos % 1'000'000'000));
  }
  card.set_responsiveness(AcceptProbability(s, window_seconds));
  card.set_annotations(s.annotations);
  card.set_gold_seen(s.gold_seen);
  card.set_gold_right(s.gold_right);
  card.set_policy_version(kPolicyVersion);
  return card;
}

double SampleQuality(const ContractorScore& s, uint64_t seed) {
  return BetaSample(kPriorRight + s.right, kPriorWrong + s.wrong, seed);
}

}  // namespace fairlead::quality
