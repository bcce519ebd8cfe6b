#include "scheduler/cli/simulated_contractor.h"

#include <utility>

#include "absl/random/distributions.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "google/protobuf/util/time_util.h"
#include "scheduler/cli/error_model.h"

namespace fairlead::cli {
namespace {

using google::protobuf::util::TimeUtil;

// Looking at an offer takes this share of the time that the work takes.
constexpr double kLookShare = 0.1;
constexpr absl::Duration kRetryRefused = absl::Milliseconds(500);

}  // namespace

void ContractorCounters::Add(const ContractorCounters& other) {
  offers += other.offers;
  accepts += other.accepts;
  declines += other.declines;
  lapses += other.lapses;
  submits += other.submits;
  receipts += other.receipts;
  repeated_receipts += other.repeated_receipts;
  changed_receipts += other.changed_receipts;
  withdrawn += other.withdrawn;
  reports += other.reports;
  reconnects += other.reconnects;
  wrong += other.wrong;
  paid_micros += other.paid_micros;
  connected += other.connected;
  for (const auto& [reason, count] : other.refusals) refusals[reason] += count;
}

SimulatedContractor::SimulatedContractor(Persona persona, v1::ContractorService::Stub* stub,
                                         const Truth* truth, TimerQueue* timers)
    : persona_(std::move(persona)),
      stub_(stub),
      truth_(truth),
      timers_(timers),
      gen_(persona_.seed),
      backoff_(absl::Milliseconds(200), absl::Seconds(5)) {}

void SimulatedContractor::Start() { Connect(); }

void SimulatedContractor::Connect() {
  std::vector<v1::WorkRequest> first;
  std::shared_ptr<WorkStream> stream;
  {
    MutexLock lock(&mu_);
    if (stopping_ || stream_ != nullptr) return;
    first.emplace_back().mutable_credit()->set_credit(draining_ ? 0 : 1);
    // What was sent and not answered may have been lost: both are idempotent.
    for (const auto& [assignment, job] : jobs_) {
      if (job.step == Step::kAccepting) first.push_back(AcceptRequest(assignment, job.token));
      if (job.step == Step::kSubmitting) first.push_back(SubmitRequest(job.submit));
    }
    stream = WorkStream::Create(persona_.token, shared_from_this());
    for (v1::WorkRequest& request : first) stream->Send(std::move(request));
    stream_ = stream;
  }
  stream->Open(stub_);
}

void SimulatedContractor::Drain() {
  {
    MutexLock lock(&mu_);
    draining_ = true;
  }
  v1::WorkRequest request;
  request.mutable_credit()->set_credit(0);
  Send(std::move(request));
}

void SimulatedContractor::Stop() {
  std::shared_ptr<WorkStream> stream;
  {
    MutexLock lock(&mu_);
    stopping_ = true;
    jobs_.clear();
    stream = stream_;
  }
  if (stream != nullptr) stream->Cancel();
}

bool SimulatedContractor::stopped() const {
  MutexLock lock(&mu_);
  return stopping_ && stream_ == nullptr;
}

bool SimulatedContractor::idle() const {
  MutexLock lock(&mu_);
  return jobs_.empty();
}

ContractorCounters SimulatedContractor::counters() const {
  MutexLock lock(&mu_);
  return counters_;
}

std::vector<ReceiptRecord> SimulatedContractor::receipts() const {
  MutexLock lock(&mu_);
  std::vector<ReceiptRecord> all;
  for (const auto& [assignment, receipt] : receipts_) all.push_back(receipt);
  return all;
}

void SimulatedContractor::OnStreamEvent(const v1::WorkResponse& event) {
  {
    MutexLock lock(&mu_);
    if (stopping_) return;
    counters_.connected = 1;
    backoff_.Reset();
  }
  switch (event.event_case()) {
    case v1::WorkResponse::kOffer:
      return OnOffer(event.offer());
    case v1::WorkResponse::kAssignment:
      return OnAssignment(event.assignment());
    case v1::WorkResponse::kReceipt:
      return OnReceipt(event.receipt());
    case v1::WorkResponse::kRefusal:
      return OnRefusal(event.refusal());
    case v1::WorkResponse::kWithdrawn: {
      MutexLock lock(&mu_);
      ++counters_.withdrawn;
      const auto job = jobs_.find(event.withdrawn());
      // An answer that is on its way still gets a receipt or a refusal.
      if (job != jobs_.end() && job->second.step != Step::kSubmitting) jobs_.erase(job);
      return;
    }
    case v1::WorkResponse::kExtended:  // It never asks.
    case v1::WorkResponse::EVENT_NOT_SET:
      return;
  }
}

void SimulatedContractor::OnStreamDone(const absl::Status&) {
  absl::Duration wait;
  {
    MutexLock lock(&mu_);
    stream_.reset();
    counters_.connected = 0;
    if (stopping_) return;
    ++counters_.reconnects;
    wait = backoff_.Next();
  }
  After(wait, [](SimulatedContractor& self) { self.Connect(); });
}

absl::Duration SimulatedContractor::DrawPace() {
  return absl::Seconds(
      DrawLogNormal(absl::ToDoubleSeconds(persona_.pace), persona_.pace_sigma, gen_));
}

void SimulatedContractor::OnOffer(const v1::Offer& offer) {
  const std::string& assignment = offer.assignment();
  const std::string& token = offer.token();
  absl::Duration look;
  bool decline = false;
  {
    MutexLock lock(&mu_);
    // Offered again after a reconnect: the acceptance is on its way already.
    if (jobs_.count(assignment) > 0) return;
    ++counters_.offers;
    const double mood = absl::Uniform<double>(gen_, 0, 1);
    if (mood < persona_.lapse_rate) {
      ++counters_.lapses;
      return;
    }
    decline = mood < persona_.lapse_rate + persona_.decline_rate;
    look = DrawPace() * kLookShare;
    if (!decline) jobs_[assignment] = {Step::kOffered, token, {}};
  }
  After(look, [assignment, token, decline](SimulatedContractor& self) {
    if (decline) {
      self.Decline(assignment, token);
    } else {
      self.Accept(assignment);
    }
  });
}

v1::WorkRequest SimulatedContractor::AcceptRequest(const std::string& assignment,
                                                   const std::string& token) const {
  v1::WorkRequest request;
  request.mutable_accept()->set_assignment(assignment);
  request.mutable_accept()->set_token(token);
  return request;
}

v1::WorkRequest SimulatedContractor::SubmitRequest(
    const v1::SubmitAnnotationRequest& submit) const {
  v1::WorkRequest request;
  *request.mutable_submit() = submit;
  return request;
}

void SimulatedContractor::Accept(const std::string& assignment) {
  v1::WorkRequest request;
  {
    MutexLock lock(&mu_);
    const auto job = jobs_.find(assignment);
    if (job == jobs_.end() || job->second.step != Step::kOffered) return;
    job->second.step = Step::kAccepting;
    ++counters_.accepts;
    request = AcceptRequest(assignment, job->second.token);
  }
  Send(std::move(request));
}

void SimulatedContractor::Decline(const std::string& assignment, const std::string& token) {
  v1::WorkRequest request;
  request.mutable_decline()->set_assignment(assignment);
  request.mutable_decline()->set_token(token);
  {
    MutexLock lock(&mu_);
    ++counters_.declines;
  }
  Send(std::move(request));
}

v1::Answer SimulatedContractor::AnswerTo(const v1::Assignment& assignment, const v1::Answer& truth,
                                         bool& wrong) const {
  std::mt19937_64 gen(StableHash64(
      absl::StrCat(persona_.seed, "|", persona_.name, "|", Truth::Key(assignment.payload()))));
  wrong = !absl::Bernoulli(gen, persona_.accuracy);
  if (assignment.has_attempt()) {
    v1::Answer review;
    const bool same = assignment.attempt().free_text() == truth.free_text();
    review.mutable_review()->set_verdict(same != wrong ? v1::Answer::Review::ACCEPT
                                                       : v1::Answer::Review::REJECT);
    if (same == wrong) review.mutable_review()->set_reason("not what the prompt asks for");
    return review;
  }
  return wrong ? CorruptAnswer(truth, assignment.answer_schema(), gen) : truth;
}

void SimulatedContractor::OnAssignment(const v1::Assignment& assignment) {
  const v1::Answer* truth = truth_->Find(assignment.payload());
  const std::string& name = assignment.name();
  if (truth == nullptr) {
    v1::WorkRequest report;
    report.mutable_report()->set_assignment(name);
    report.mutable_report()->set_token(assignment.token());
    report.mutable_report()->set_reason("the simulation does not know this payload");
    {
      MutexLock lock(&mu_);
      jobs_.erase(name);
      ++counters_.reports;
    }
    Send(std::move(report));
    return;
  }
  bool wrong = false;
  const v1::Answer answer = AnswerTo(assignment, *truth, wrong);
  absl::Duration work;
  {
    MutexLock lock(&mu_);
    Job& job = jobs_[name];
    // Sent twice after a repeated accept: the first one is being worked on.
    if (job.step == Step::kWorking || job.step == Step::kSubmitting) return;
    job.step = Step::kWorking;
    job.token = assignment.token();
    work = DrawPace();
    job.submit.set_assignment(name);
    job.submit.set_token(assignment.token());
    *job.submit.mutable_answer() = answer;
    *job.submit.mutable_active_time() =
        TimeUtil::MicrosecondsToDuration(absl::ToInt64Microseconds(work));
    if (wrong) ++counters_.wrong;
  }
  After(work, [name](SimulatedContractor& self) { self.Submit(name); });
}

void SimulatedContractor::Submit(const std::string& assignment) {
  v1::WorkRequest request;
  {
    MutexLock lock(&mu_);
    const auto job = jobs_.find(assignment);
    if (job == jobs_.end()) return;
    if (job->second.step == Step::kWorking) ++counters_.submits;
    job->second.step = Step::kSubmitting;
    request = SubmitRequest(job->second.submit);
  }
  Send(std::move(request));
}

void SimulatedContractor::OnReceipt(const v1::Receipt& receipt) {
  MutexLock lock(&mu_);
  jobs_.erase(receipt.assignment());
  const ReceiptRecord record = {persona_.name, receipt.assignment(), receipt.pay_micros(),
                                receipt.late()};
  const auto [it, fresh] = receipts_.emplace(receipt.assignment(), record);
  if (fresh) {
    ++counters_.receipts;
    counters_.paid_micros += receipt.pay_micros();
    return;
  }
  ++counters_.repeated_receipts;
  if (it->second.pay_micros != record.pay_micros) ++counters_.changed_receipts;
}

void SimulatedContractor::OnRefusal(const v1::WorkResponse::Refusal& refusal) {
  const std::string& assignment = refusal.assignment();
  const bool again = refusal.code() == static_cast<int>(absl::StatusCode::kUnavailable);
  {
    MutexLock lock(&mu_);
    ++counters_.refusals[refusal.reason().empty() ? absl::StrCat("code ", refusal.code())
                                                  : refusal.reason()];
    const auto job = jobs_.find(assignment);
    if (job == jobs_.end()) return;
    if (!again) {
      jobs_.erase(job);
      return;
    }
    if (job->second.step == Step::kAccepting) job->second.step = Step::kOffered;
  }
  After(kRetryRefused, [assignment](SimulatedContractor& self) {
    bool submitting = false;
    {
      MutexLock lock(&self.mu_);
      const auto job = self.jobs_.find(assignment);
      submitting = job != self.jobs_.end() && job->second.step == Step::kSubmitting;
    }
    if (submitting) {
      self.Submit(assignment);
    } else {
      self.Accept(assignment);
    }
  });
}

void SimulatedContractor::Send(v1::WorkRequest request) {
  std::shared_ptr<WorkStream> stream;
  {
    MutexLock lock(&mu_);
    stream = stream_;
  }
  // Without a stream it is lost; Connect sends what matters again.
  if (stream != nullptr) stream->Send(std::move(request));
}

void SimulatedContractor::After(absl::Duration delay,
                                std::function<void(SimulatedContractor&)> then) {
  timers_->RunAfter(delay, [weak = weak_from_this(), then = std::move(then)] {
    if (const auto self = weak.lock()) then(*self);
  });
}

}  // namespace fairlead::cli
