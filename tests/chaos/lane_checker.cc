#include "tests/chaos/lane_checker.h"

#include <algorithm>
#include <cstdint>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace fairlead::chaos {
namespace {

// One holder's claim to a job, as far as logs can tell.
struct Grant {
  std::string job;
  int64_t not_before = 0;  // The lane cannot have made it earlier …
  int64_t known = 0;       // … and has made it by then.
};

// A call under a token that the lane took for valid, between these two times.
struct Use {
  std::string token;
  int64_t sent = 0;
  int64_t answered = 0;
};

struct Tick {
  int64_t sent = 0;
  std::vector<std::string> tokens;
  std::vector<std::string> acks;
};

class LaneCheck {
 public:
  explicit LaneCheck(const LaneHistory& history) : history_(history) {
    for (const auto& [name, entries] : history.logs) ReadLog(entries);
  }

  std::vector<std::string> Run() {
    CheckEnds();
    CheckAcks();
    CheckHolders();
    return std::move(wrong_);
  }

 private:
  template <typename... Parts>
  void Wrong(const Parts&... parts) {
    wrong_.push_back(absl::StrCat(parts...));
  }

  void ReadLog(const std::vector<Entry>& entries) {
    std::map<std::string, Tick> ticks;
    int64_t session_began = 0;
    for (const Entry& entry : entries) {
      if (entry.kind == "send") sent_jobs_.insert(entry.fields.begin(), entry.fields.end());
      if (entry.kind == "acked") acked_jobs_.insert(entry.fields.begin(), entry.fields.end());
      if (entry.kind == "begin") session_began = entry.time_ns;
      if (entry.kind == "sent") ReadTick(entry, &ticks[entry.fields[0]]);
      if (entry.kind == "reply") ReadReply(entry, ticks[entry.fields[0]]);
      // The grant is that of an earlier tick, whose reply was lost.
      if (entry.kind == "mine") ReadLeases(entry, session_began);
    }
  }

  void ReadTick(const Entry& entry, Tick* tick) {
    tick->sent = entry.time_ns;
    for (size_t i = 1; i < entry.fields.size(); ++i) {
      absl::string_view token = entry.fields[i];
      if (absl::ConsumePrefix(&token, "ack:")) {
        tick->acks.emplace_back(token);
        handed_in_.emplace(token);
      } else if (!absl::ConsumePrefix(&token, "nack:")) {
        absl::ConsumePrefix(&token, "note:");
      }
      tick->tokens.emplace_back(token);
    }
  }

  void ReadReply(const Entry& entry, const Tick& tick) {
    std::set<std::string> lost;
    for (absl::string_view field : entry.fields) {
      if (absl::ConsumePrefix(&field, "lost:")) lost.emplace(field);
    }
    for (const std::string& token : tick.tokens) {
      if (lost.count(token) == 0) uses_.push_back({token, tick.sent, entry.time_ns});
    }
    for (const std::string& token : tick.acks) {
      if (lost.count(token) == 0) taken_acks_.push_back(token);
    }
    ReadLeases(entry, tick.sent);
  }

  void ReadLeases(const Entry& entry, int64_t not_before) {
    for (const std::string& field : entry.fields) {
      if (!absl::StartsWith(field, "lease:")) continue;
      const std::vector<std::string> parts = absl::StrSplit(field, absl::MaxSplits(':', 2));
      const auto [at, fresh] =
          grants_.emplace(parts[1], Grant{parts[2], not_before, entry.time_ns});
      if (!fresh && at->second.job != parts[2]) Wrong("token ", parts[1], " names two jobs");
      if (fresh) grants_of_[parts[2]].push_back(parts[1]);
    }
  }

  void CheckEnds() {
    std::map<std::string, int> ends;
    for (const JobEnd& end : history_.ends) {
      ++ends[end.job];
      if (sent_jobs_.count(end.job) == 0) Wrong("job ", end.job, " ended, and nobody sent it");
      if (end.token.empty()) continue;
      if (handed_in_.count(end.token) == 0) {
        Wrong("job ", end.job, " has a result under ", end.token, ", which nobody handed in");
      }
      const auto grant = grants_.find(end.token);
      if (grant != grants_.end() && grant->second.job != end.job) {
        Wrong("job ", end.job, " ended under ", end.token, ", which is of ", grant->second.job);
      }
      ended_under_.insert(end.token);
    }
    for (const std::string& job : acked_jobs_) {
      const auto found = ends.find(job);
      const int times = found == ends.end() ? 0 : found->second;
      if (times == 1 || (times > 1 && history_.lane_lost)) continue;
      Wrong("job ", job, " was acknowledged and ended ", times, " times");
    }
  }

  void CheckAcks() {
    if (history_.lane_lost) return;
    for (const std::string& token : taken_acks_) {
      if (ended_under_.count(token) == 0) {
        Wrong("the ack of ", token, " was answered as valid and is not in the record log");
      }
    }
  }

  void CheckHolders() {
    for (const Use& use : uses_) {
      const auto mine = grants_.find(use.token);
      if (mine == grants_.end()) {
        Wrong("a call under ", use.token, " was answered as valid, and nobody had leased it");
        continue;
      }
      for (const std::string& token : grants_of_[mine->second.job]) {
        const Grant& other = grants_[token];
        if (token == use.token || other.not_before <= mine->second.known) continue;
        if (use.sent > other.known) {
          Wrong("job ", other.job, ": ", use.token, " was valid when ", token, " had it already");
        }
      }
    }
  }

  const LaneHistory& history_;
  std::vector<std::string> wrong_;
  std::set<std::string> sent_jobs_, acked_jobs_;
  std::set<std::string> handed_in_;    // Tokens in acks that were sent.
  std::set<std::string> ended_under_;  // Tokens in the record log.
  std::vector<std::string> taken_acks_;
  std::map<std::string, Grant> grants_;  // By token.
  std::map<std::string, std::vector<std::string>> grants_of_;
  std::vector<Use> uses_;
};

}  // namespace

std::vector<std::string> CheckLane(const LaneHistory& history) { return LaneCheck(history).Run(); }

}  // namespace fairlead::chaos
