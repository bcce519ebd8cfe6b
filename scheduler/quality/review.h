// Free texts that a reviewer passes (ProjectSettings.review): whose turn it is, and what comes of
// the answers so far. Attempts and reviews are answers alike; a review is about the oldest attempt
// that no review has decided. An attempt that comes while another waits for its review (late work)
// stands behind it. Pure; thread-safe.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "fairlead/store/v1/records.pb.h"
#include "fairlead/v1/resources.pb.h"

namespace fairlead::quality {

// Answers of a task as far as turns go; cheap to keep in step with the events.
struct ReviewTurns {
  int attempts = 0;  // That no review has decided.
  void Add(const v1::Answer& answer) {
    attempts = answer.has_review() ? std::max(0, attempts - 1) : attempts + 1;
  }
  bool reviewers() const { return attempts > 0; }  // The next place is a reviewer's.
};

// The attempt that whoever was offered a place at `offered_ms` is to review; nullptr: he is to
// write one. `annotations` in order of acceptance; later ones than the offer do not matter.
const v1::Answer* AttemptToReview(absl::Span<const store::v1::AnnotationRecord> annotations,
                                  int64_t offered_ms);

struct ReviewOutcome {
  enum class Step { kMore, kComplete, kDead };
  Step step = Step::kMore;
  int want = 1;          // Answers now wanted in all.
  v1::Answer text;       // kComplete: as accepted or edited.
  std::string reviewer;  // kComplete: who decided it.
  std::string reason;    // kDead: for the dead letter.
  // What the reviews say of the attempts: 1 accepted, 0 rejected, edited the likeness to what it
  // became; weight 1.
  std::vector<store::v1::Evidence> evidence;
};

// kDead once `max_answers` are there without an accepted text and no attempt waits for its review.
// Erased answers are left out.
ReviewOutcome DecideReview(const v1::AnswerSchema& schema,
                           absl::Span<const store::v1::AnnotationRecord> annotations,
                           int max_answers);

}  // namespace fairlead::quality
