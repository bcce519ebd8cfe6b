// One simulated person on the Work stream: takes offers, declines or lets lapse some, works for a
// while, answers rightly or not, comes back after a lost stream, and keeps every receipt.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "common/base/mutex.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/timer_queue.h"
#include "scheduler/cli/truth.h"
#include "scheduler/cli/work_stream.h"

namespace fairlead::cli {

struct Persona {
  std::string name;   // "contractors/sim-001".
  std::string token;  // Its bearer secret.
  double accuracy = 0.9;
  absl::Duration pace = absl::Milliseconds(300);  // Median work time; log-normal around it.
  double pace_sigma = 0.35;
  double decline_rate = 0.02;
  double lapse_rate = 0.01;  // Offers it never reacts to.
  uint64_t seed = 1;
};

// A receipt as the contractor got it: what pay is verified against.
struct ReceiptRecord {
  std::string contractor;
  std::string assignment;
  int64_t pay_micros = 0;
  bool late = false;
};

// Since the start; a snapshot.
struct ContractorCounters {
  int64_t offers = 0;
  int64_t accepts = 0;
  int64_t declines = 0;
  int64_t lapses = 0;
  int64_t submits = 0;   // Answers finished, repeated sends not counted.
  int64_t receipts = 0;  // Different assignments.
  int64_t repeated_receipts = 0;
  int64_t changed_receipts = 0;  // A second receipt that differs from the first: a server's fault.
  int64_t withdrawn = 0;
  int64_t reports = 0;
  int64_t reconnects = 0;
  int64_t wrong = 0;  // Submitted with an error on purpose.
  int64_t paid_micros = 0;
  int64_t connected = 0;                    // 0 or 1.
  std::map<std::string, int64_t> refusals;  // By reason.

  void Add(const ContractorCounters& other);
};

// Thread-safe. Answers are a function of seed, persona and payload alone, whatever the timing.
class SimulatedContractor final : public WorkStream::Listener,
                                  public std::enable_shared_from_this<SimulatedContractor> {
 public:
  // `stub`, `truth` and `timers` must outlive the last callback: see Stop and stopped().
  SimulatedContractor(Persona persona, v1::ContractorService::Stub* stub, const Truth* truth,
                      TimerQueue* timers);

  void Start();  // Opens the stream; it is opened again whenever it breaks.
  void Drain();  // Takes no further offers; finishes what it has.
  void Stop();   // Breaks the stream off. Work under way is dropped, as by a closed browser.
  bool stopped() const;  // After Stop: no callback is under way or to come from the stream.
  bool idle() const;     // Nothing offered, accepted or unacknowledged.

  ContractorCounters counters() const;
  std::vector<ReceiptRecord> receipts() const;
  const Persona& persona() const { return persona_; }

  void OnStreamEvent(const v1::WorkResponse& event) override;
  void OnStreamDone(const absl::Status& status) override;

 private:
  enum class Step { kOffered, kAccepting, kWorking, kSubmitting };
  struct Job {
    Step step = Step::kOffered;
    std::string token;
    v1::SubmitAnnotationRequest submit;
  };

  void Connect();
  void OnOffer(const v1::Offer& offer);
  void OnAssignment(const v1::Assignment& assignment);
  void OnReceipt(const v1::Receipt& receipt);
  void OnRefusal(const v1::WorkResponse::Refusal& refusal);
  void Accept(const std::string& assignment);
  void Decline(const std::string& assignment, const std::string& token);
  void Submit(const std::string& assignment);
  void Send(v1::WorkRequest request);
  v1::WorkRequest AcceptRequest(const std::string& assignment, const std::string& token) const;
  v1::WorkRequest SubmitRequest(const v1::SubmitAnnotationRequest& submit) const;
  // Erring with probability 1 − accuracy; `wrong` says whether it did.
  v1::Answer AnswerTo(const v1::Assignment& assignment, const v1::Answer& truth, bool& wrong) const;
  absl::Duration DrawPace() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);
  void After(absl::Duration delay, std::function<void(SimulatedContractor&)> then);

  const Persona persona_;
  v1::ContractorService::Stub* const stub_;
  const Truth* const truth_;
  TimerQueue* const timers_;

  mutable Mutex mu_;
  std::shared_ptr<WorkStream> stream_ ABSL_GUARDED_BY(mu_);
  std::map<std::string, Job> jobs_ ABSL_GUARDED_BY(mu_);  // By assignment; at most the credit.
  std::map<std::string, ReceiptRecord> receipts_ ABSL_GUARDED_BY(mu_);
  ContractorCounters counters_ ABSL_GUARDED_BY(mu_);
  std::mt19937_64 gen_ ABSL_GUARDED_BY(mu_);
  Backoff backoff_ ABSL_GUARDED_BY(mu_);
  bool draining_ ABSL_GUARDED_BY(mu_) = false;
  bool stopping_ ABSL_GUARDED_BY(mu_) = false;
};

}  // namespace fairlead::cli
