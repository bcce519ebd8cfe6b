#include "scheduler/quality/review.h"

#include <deque>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/quality/aggregation.h"

namespace fairlead::quality {
namespace {

using store::v1::AnnotationRecord;
using Review = v1::Answer::Review;

// Of an attempt that is to become `text`.
store::v1::Evidence LikenessTo(const v1::AnswerSchema& schema, const AnnotationRecord& attempt,
                               const v1::Answer& text) {
  store::v1::Evidence evidence;
  for (store::v1::Evidence& judged :
       Judge(schema, {{attempt.contractor(), attempt.answer()}}, std::nullopt, &text)) {
    evidence = std::move(judged);
  }
  evidence.set_gold(false);
  return evidence;
}

store::v1::Evidence Verdict(const AnnotationRecord& attempt, double right) {
  store::v1::Evidence evidence;
  evidence.set_contractor(attempt.contractor());
  evidence.set_right(right);
  evidence.set_weight(1);
  return evidence;
}

}  // namespace

const v1::Answer* AttemptToReview(absl::Span<const AnnotationRecord> annotations,
                                  int64_t offered_ms) {
  std::deque<const v1::Answer*> attempts;
  for (const AnnotationRecord& record : annotations) {
    if (record.erased() || record.accept_ms() > offered_ms) continue;
    if (!record.answer().has_review()) {
      attempts.push_back(&record.answer());
    } else if (!attempts.empty()) {
      attempts.pop_front();
    }
  }
  return attempts.empty() ? nullptr : attempts.front();
}

ReviewOutcome DecideReview(const v1::AnswerSchema& schema,
                           absl::Span<const AnnotationRecord> annotations, int max_answers) {
  ReviewOutcome outcome;
  std::deque<const AnnotationRecord*> attempts;
  int answers = 0;
  int rejected = 0;
  for (const AnnotationRecord& record : annotations) {
    if (record.erased()) continue;
    ++answers;
    if (!record.answer().has_review()) {
      attempts.push_back(&record);
      continue;
    }
    if (attempts.empty()) continue;  // Late, of one that another review has decided.
    const AnnotationRecord& attempt = *attempts.front();
    attempts.pop_front();
    const Review& review = record.answer().review();
    if (review.verdict() == Review::REJECT) {
      ++rejected;
      outcome.evidence.push_back(Verdict(attempt, 0));
      continue;
    }
    outcome.text = attempt.answer();
    if (review.verdict() == Review::EDIT) outcome.text.set_free_text(review.free_text());
    outcome.evidence.push_back(review.verdict() == Review::EDIT
                                   ? LikenessTo(schema, attempt, outcome.text)
                                   : Verdict(attempt, 1));
    outcome.reviewer = record.contractor();
    outcome.step = ReviewOutcome::Step::kComplete;
    break;
  }
  outcome.want = answers;
  if (outcome.step == ReviewOutcome::Step::kComplete) return outcome;
  // What waits for its review is reviewed first: after a replay from the dead letters as well.
  if (answers >= max_answers && attempts.empty()) {
    outcome.step = ReviewOutcome::Step::kDead;
    outcome.reason = absl::StrCat(rejected, " attempts rejected in ", answers,
                                  " answers (settings.redundancy.max_answers)");
    return outcome;
  }
  outcome.want = answers + 1;
  return outcome;
}

}  // namespace fairlead::quality
