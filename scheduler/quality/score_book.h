// Every contractor's scores, folded from the events: nothing here that the record log does not
// hold, so that a served score can be recomputed (G7). Answers are judged when their task
// completes; a question of a test, which wants the answers of many, at once. Of each answer to gold
// it keeps where it stands in the score (about 100 bytes), so that gold which is retracted can be
// taken out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/strings/string_view.h"
#include "common/base/mutex.h"
#include "fairlead/v1/resources.pb.h"
#include "scheduler/quality/qualification_book.h"
#include "scheduler/quality/score.h"
#include "scheduler/store/event_codec.h"
#include "scheduler/store/registry_view.h"

namespace fairlead::quality {

// By kind of work (v1::TaskKind as int).
using ScoresByKind = std::map<int, ContractorScore>;

// Thread-safe.
class ScoreBook final : public store::EventSink {
 public:
  // `registry` tells a project's kind, `tests` what answers a question; both are given each event
  // before this is.
  ScoreBook(const store::RegistryView* registry, const QualificationBook* tests)
      : registry_(registry), tests_(tests) {}

  void Apply(const store::v1::Event& event, int64_t position) override;

  ScoresByKind Scores(absl::string_view contractor) const;
  // One kind's; without evidence for one never seen.
  ContractorScore Score(absl::string_view contractor, fairlead::v1::TaskKind kind) const;
  // Posterior mean of the quality for one kind; the prior's mean for one never seen.
  double QualityMean(absl::string_view contractor, fairlead::v1::TaskKind kind) const;

 private:
  struct Judged {
    store::v1::Evidence evidence;
    EvidenceMark mark;
  };

  // Folds evidence that a task gives, and remembers it where it is gold's.
  void Judge(const std::string& task, const store::v1::Evidence& evidence, int64_t now_ms,
             ContractorScore& score) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void Retract(const std::string& task, fairlead::v1::TaskKind kind)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void NoteGold(const store::v1::Event& event) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  ContractorScore& ScoreOf(const std::string& contractor, fairlead::v1::TaskKind kind)
      ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const store::RegistryView* const registry_;
  const QualificationBook* const tests_;
  mutable Mutex mu_;
  absl::flat_hash_map<std::string, ScoresByKind> scores_ ABSL_GUARDED_BY(mu_);
  absl::flat_hash_map<std::string, std::vector<Judged>> gold_ ABSL_GUARDED_BY(mu_);  // By task.
  absl::flat_hash_set<std::string> open_gold_ ABSL_GUARDED_BY(mu_);  // Tasks that have not ended.
};

}  // namespace fairlead::quality
