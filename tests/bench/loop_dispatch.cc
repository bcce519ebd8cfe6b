#include <algorithm>
#include <filesystem>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/status.h"
#include "fairlead/v1/contractor_service.grpc.pb.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/cluster.h"
#include "tests/bench/loop_bench.h"
#include "tests/bench/processes.h"

namespace fairlead::bench {
namespace {

constexpr int kRounds = 3;
constexpr absl::Duration kPhase = absl::Seconds(15);
constexpr absl::Duration kSettle = absl::Seconds(5);  // A training has read its images by then.
constexpr double kMostRatio = 1.2;

// A client with a project, and one contractor who is always free.
class Probe {
 public:
  static absl::StatusOr<Probe> Create(const cli::LocalCluster& cluster) {
    const cli::Credentials& known = cluster.credentials();
    const cli::Client admin(cluster.address(), known.operator_token, known.tenant);
    v1::CreateTokenRequest request;
    request.set_role(v1::ROLE_CONTRACTOR);
    request.set_contractor("contractors/probe");
    ASSIGN_OR_RETURN(const v1::CreateTokenResponse token,
                     admin.Call(admin.admin(), &v1::AdminService::Stub::CreateToken, request));
    Probe probe(cluster.address(), known.client_token, token.secret(), known.tenant);
    v1::CreateProjectRequest project;
    project.set_parent(probe.client_->tenant_name());
    project.set_project_id("probe");
    v1::AnswerSchema& schema = *project.mutable_settings()->mutable_answer_schema();
    schema.set_kind(v1::TASK_KIND_CLASS);
    for (const char* name : {"a", "b"}) schema.add_classes(name);
    project.mutable_settings()->mutable_redundancy()->set_min_answers(1);
    project.mutable_settings()->mutable_redundancy()->set_max_answers(1);
    project.mutable_pay_rate()->set_micros_per_annotation(1);
    project.mutable_pay_rate()->set_currency("EUR");
    RETURN_IF_ERROR(
        probe.client_
            ->Call(probe.client_->projects(), &v1::ProjectService::Stub::CreateProject, project)
            .status());
    return probe;
  }

  // Free for the next minute.
  absl::Status Online() {
    v1::SetAvailabilityRequest available;
    available.set_credit(1);
    return contractor_->Call(work_.get(), &v1::ContractorService::Stub::SetAvailability, available)
        .status();
  }

  // From the call that submits a task to the offer in the contractor's hands.
  absl::StatusOr<absl::Duration> Once() {
    v1::SubmitTasksRequest submit;
    submit.set_project(client_->ProjectName("probe"));
    submit.set_request_id(absl::StrCat("probe-", next_));
    submit.add_tasks()->mutable_payload()->mutable_class_item()->set_text(absl::StrCat(next_++));
    const absl::Time start = absl::Now();
    absl::Status submitted;
    std::thread client([&] {
      submitted =
          client_->Call(client_->tasks(), &v1::TaskService::Stub::SubmitTasks, submit).status();
    });
    v1::PollOffersRequest poll;
    poll.mutable_wait()->set_seconds(10);
    const auto offers =
        contractor_->Call(work_.get(), &v1::ContractorService::Stub::PollOffers, poll);
    const absl::Duration took = absl::Now() - start;
    client.join();
    RETURN_IF_ERROR(submitted);
    RETURN_IF_ERROR(offers.status());
    if (offers->offers_size() == 0) return absl::DeadlineExceededError("no offer within 10 s");
    RETURN_IF_ERROR(Answer(offers->offers(0)));
    return took;
  }

 private:
  Probe(const std::string& address, const std::string& client_token,
        const std::string& contractor_token, const std::string& tenant)
      : client_(std::make_unique<cli::Client>(address, client_token, tenant)),
        contractor_(std::make_unique<cli::Client>(address, contractor_token, tenant)),
        work_(v1::ContractorService::NewStub(contractor_->channel())) {}

  absl::Status Answer(const v1::Offer& offer) {
    v1::AcceptOfferRequest accept;
    accept.set_assignment(offer.assignment());
    accept.set_token(offer.token());
    RETURN_IF_ERROR(
        contractor_->Call(work_.get(), &v1::ContractorService::Stub::AcceptOffer, accept).status());
    v1::SubmitAnnotationRequest answer;
    answer.set_assignment(offer.assignment());
    answer.set_token(offer.token());
    answer.mutable_answer()->set_class_name("a");
    return contractor_->Call(work_.get(), &v1::ContractorService::Stub::SubmitAnnotation, answer)
        .status();
  }

  std::unique_ptr<cli::Client> client_;
  std::unique_ptr<cli::Client> contractor_;
  std::unique_ptr<v1::ContractorService::Stub> work_;
  int next_ = 0;
};

absl::Status Measure(Probe& probe, absl::Duration how_long, std::vector<double>& ms) {
  RETURN_IF_ERROR(probe.Online());
  for (const absl::Time end = absl::Now() + how_long; absl::Now() < end;) {
    ASSIGN_OR_RETURN(const absl::Duration took, probe.Once());
    ms.push_back(absl::ToDoubleMilliseconds(took));
  }
  return absl::OkStatus();
}

double Quantile(std::vector<double> values, double q) {
  const auto at = static_cast<std::ptrdiff_t>(q * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<size_t>(at)];
}

// A training as a worker of a local cluster runs it, for as long as one phase lasts.
Finished Train(const LoopOptions& options) {
  const unsigned cores = std::max(2U, std::thread::hardware_concurrency());
  const std::string seconds = absl::StrCat(absl::ToInt64Seconds(kSettle + kPhase));
  return RunProgram({"timeout", seconds, absl::StrCat(FAIRLEAD_BINARY_DIR, "/fairlead-trainer"),
                     "--nice", "10", "train", "ocr", "--data", options.images, "--out",
                     options.work_folder + "/dispatch-model", "--head", "flat", "--variant",
                     "eighth", "--epochs", "500", "--threads", absl::StrCat(cores - 1)});
}

}  // namespace

absl::Status BenchDispatchBesideTraining(const LoopOptions& options, Marks& marks) {
  cli::ClusterOptions cluster_options;
  cluster_options.data_dir = options.work_folder + "/dispatch";
  std::filesystem::remove_all(cluster_options.data_dir);
  cluster_options.workers = 0;
  cluster_options.binary_dir = FAIRLEAD_BINARY_DIR;
  ASSIGN_OR_RETURN(const auto cluster, cli::LocalCluster::Create(cluster_options));
  RETURN_IF_ERROR(cluster->Start());
  ASSIGN_OR_RETURN(Probe probe, Probe::Create(*cluster));
  std::vector<double> alone;
  std::vector<double> beside;
  double cpu_seconds = 0;
  for (int round = 0; round < kRounds; ++round) {
    RETURN_IF_ERROR(Measure(probe, kPhase, alone));
    std::filesystem::remove_all(options.work_folder + "/dispatch-model");
    std::thread training([&] { cpu_seconds += Train(options).cpu_seconds; });
    std::vector<double> settling;
    absl::Status measured = Measure(probe, kSettle, settling);
    measured.Update(Measure(probe, kPhase, beside));
    training.join();
    RETURN_IF_ERROR(measured);
  }
  cluster->Stop();
  if (cpu_seconds < absl::ToDoubleSeconds(kPhase)) {
    return absl::InternalError(absl::StrCat("the training ran for ", cpu_seconds, " CPU-s only"));
  }
  for (const auto& [name, ms] :
       {std::pair("no training", &alone), std::pair("training", &beside)}) {
    marks.Figure("dispatch", absl::StrCat("submit to offer, p50, ", name), Quantile(*ms, 0.5),
                 "ms");
    marks.Figure("dispatch", absl::StrCat("submit to offer, p99, ", name), Quantile(*ms, 0.99),
                 "ms");
  }
  const double ratio = Quantile(beside, 0.99) / Quantile(alone, 0.99);
  marks.Check("dispatch", "p99, training / no training", ratio, "", "≤ 1.2", ratio <= kMostRatio);
  return absl::OkStatus();
}

}  // namespace fairlead::bench
