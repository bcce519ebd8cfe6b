#include "scheduler/cli/demo_run.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "scheduler/cli/file.h"
#include "scheduler/cli/project_flags.h"

namespace fairlead::cli {
namespace {

constexpr char kOcrProject[] = "demo-ocr";
constexpr char kPairProject[] = "demo-pairs";
constexpr absl::Duration kLook = absl::Milliseconds(200);
// Of a wave's tasks, the part that must have ended before the next wave: the last few of a wave
// wait for offers that lapse.
constexpr double kNearlyAll = 0.98;
constexpr absl::Duration kPrelabelCap = absl::Seconds(12);
constexpr absl::Duration kSettleCap = absl::Seconds(25);

std::vector<NewTask> Slice(const std::vector<NewTask>& tasks, size_t begin, size_t end) {
  return std::vector<NewTask>(tasks.begin() + static_cast<ptrdiff_t>(begin),
                              tasks.begin() + static_cast<ptrdiff_t>(end));
}

}  // namespace

size_t WaveBegin(size_t count, int wave, int waves) {
  if (wave >= waves) return count;
  return count * static_cast<size_t>(wave) / static_cast<size_t>(waves);
}

DemoRun::DemoRun(const DemoOptions& options, const DemoTasks& tasks, bool models, std::string name,
                 absl::Time deadline)
    : options_(options),
      tasks_(tasks),
      models_(models),
      name_(std::move(name)),
      deadline_(deadline),
      start_(absl::Now()) {}

DemoRun::~DemoRun() {
  // Clients before servers: nobody tries to reconnect while things stop.
  simulator_.reset();
  ocr_log_.reset();
  pair_log_.reset();
  client_.reset();
  if (cluster_ != nullptr) cluster_->Stop();
}

std::string DemoRun::Directory() const { return absl::StrCat(options_.work_dir, "/", name_); }

absl::StatusOr<DemoPass> DemoRun::Run() {
  RETURN_IF_ERROR(StartCluster());
  RETURN_IF_ERROR(CreateProjects());
  RETURN_IF_ERROR(StartContractors());
  for (wave_ = 0; wave_ < options_.waves; ++wave_) {
    RETURN_IF_ERROR(SubmitWave(wave_));
    RETURN_IF_ERROR(AwaitWave(wave_));
  }
  wave_ = options_.waves - 1;
  RETURN_IF_ERROR(AwaitEnd());
  ShowStatus(/*at_once=*/true);
  DemoPass pass;
  pass.models = models_;
  RETURN_IF_ERROR(CollectOutcomes(pass));
  if (models_) RETURN_IF_ERROR(CollectModels(pass));
  pass.seconds = absl::Now() - start_;
  return pass;
}

absl::Status DemoRun::StartCluster() {
  ClusterOptions cluster;
  cluster.data_dir = Directory();
  cluster.workers = models_ ? 2 : 0;  // One trains, one prelabels.
  cluster.binary_dir = options_.binary_dir;
  ASSIGN_OR_RETURN(cluster_, LocalCluster::Create(cluster));
  RETURN_IF_ERROR(cluster_->Start());
  const Credentials& credentials = cluster_->credentials();
  client_ =
      std::make_unique<Client>(credentials.address, credentials.client_token, credentials.tenant);
  return absl::OkStatus();
}

absl::Status DemoRun::CreateProjects() {
  ProjectFlags flags;
  flags.kind = "ocr";
  flags.pay_micros = 20000;
  flags.min_answers = 1;
  flags.max_answers = 5;
  flags.target_confidence = options_.target_confidence;
  flags.offer_window_seconds = 2;
  flags.work_window_seconds = 20;
  flags.train = models_;
  flags.prelabel = models_;
  flags.train_after_labels = options_.train_after_labels;
  RETURN_IF_ERROR(CreateProject(*client_, kOcrProject, flags).status());
  flags.kind = "pair";
  flags.pay_micros = 30000;
  flags.train_after_labels = options_.train_after_pairs;
  RETURN_IF_ERROR(CreateProject(*client_, kPairProject, flags).status());
  SubmitOptions submit;
  submit.run_id = "gold";
  submit.project = client_->ProjectName(kOcrProject);
  RETURN_IF_ERROR(SubmitAll(*client_, tasks_.gold_ocr, submit).status());
  submit.project = client_->ProjectName(kPairProject);
  RETURN_IF_ERROR(SubmitAll(*client_, tasks_.gold_pairs, submit).status());
  ocr_log_ = std::make_unique<ResultsLog>(*client_, client_->ProjectName(kOcrProject));
  pair_log_ = std::make_unique<ResultsLog>(*client_, client_->ProjectName(kPairProject));
  return absl::OkStatus();
}

absl::Status DemoRun::StartContractors() {
  SimulatorOptions crowd;
  crowd.address = cluster_->credentials().address;
  crowd.operator_token = cluster_->credentials().operator_token;
  crowd.contractors = options_.contractors;
  crowd.accuracy = options_.accuracy;
  crowd.accuracy_sd = options_.accuracy_sd;
  crowd.pace = options_.pace;
  crowd.seed = options_.seed;
  ASSIGN_OR_RETURN(simulator_, Simulator::Start(crowd, &tasks_.truth));
  return absl::OkStatus();
}

absl::Status DemoRun::SubmitWave(int wave) {
  SubmitOptions submit;
  submit.run_id = absl::StrCat("wave-", wave);
  submit.project = client_->ProjectName(kOcrProject);
  const std::vector<NewTask> ocr =
      Slice(tasks_.ocr, WaveBegin(tasks_.ocr.size(), wave, options_.waves),
            WaveBegin(tasks_.ocr.size(), wave + 1, options_.waves));
  // A wave comes while nothing is offered, so that all its tasks are there, and read by the
  // champion, before the first contractor sees one. Without models the same, but for the reading.
  RETURN_IF_ERROR(Pause(true));
  ASSIGN_OR_RETURN(const std::vector<std::string> names, SubmitAll(*client_, ocr, submit));
  ocr_names_.insert(ocr_names_.end(), names.begin(), names.end());
  if (models_ && !champions_.empty()) {
    RETURN_IF_ERROR(AwaitPrelabels(static_cast<int64_t>(names.size())));
  }
  RETURN_IF_ERROR(Pause(false));
  // Pairs are all in one wave before the last, so that the last reward model has seen them.
  const int pair_waves = std::max(1, options_.waves - 1);
  submit.project = client_->ProjectName(kPairProject);
  const std::vector<NewTask> pairs =
      Slice(tasks_.pairs, WaveBegin(tasks_.pairs.size(), wave, pair_waves),
            WaveBegin(tasks_.pairs.size(), wave + 1, pair_waves));
  if (pairs.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const std::vector<std::string> pair_names, SubmitAll(*client_, pairs, submit));
  pair_names_.insert(pair_names_.end(), pair_names.begin(), pair_names.end());
  return absl::OkStatus();
}

absl::Status DemoRun::Pause(bool pause) {
  if (pause) {
    v1::PauseProjectRequest request;
    request.set_name(client_->ProjectName(kOcrProject));
    return client_->Call(client_->admin(), &v1::AdminService::Stub::PauseProject, request).status();
  }
  v1::ResumeProjectRequest request;
  request.set_name(client_->ProjectName(kOcrProject));
  return client_->Call(client_->admin(), &v1::AdminService::Stub::ResumeProject, request).status();
}

absl::Status DemoRun::AwaitPrelabels(int64_t wanted) {
  const absl::Time cap = std::min(deadline_, absl::Now() + kPrelabelCap);
  while (absl::Now() < cap) {
    v1::ListTasksRequest request;
    request.set_project(client_->ProjectName(kOcrProject));
    request.set_page_size(1000);
    ASSIGN_OR_RETURN(const v1::ListTasksResponse page,
                     client_->Call(client_->tasks(), &v1::TaskService::Stub::ListTasks, request));
    const int64_t read = std::count_if(page.tasks().begin(), page.tasks().end(),
                                       [](const v1::Task& task) { return task.has_prelabel(); });
    if (read >= wanted) return absl::OkStatus();
    ShowStatus();
    absl::SleepFor(kLook);
  }
  return absl::OkStatus();
}

absl::Status DemoRun::AwaitWave(int wave) {
  const bool last = wave + 1 == options_.waves;
  if (last) return absl::OkStatus();
  const int64_t enough = static_cast<int64_t>(kNearlyAll * static_cast<double>(ocr_names_.size()));
  while (ocr_log_->ended() < enough) {
    RETURN_IF_ERROR(ocr_log_->status());
    if (absl::Now() > deadline_) return absl::OkStatus();
    ShowStatus();
    absl::SleepFor(kLook);
  }
  if (!models_) return absl::OkStatus();
  const absl::Time cap = std::min(deadline_, absl::Now() + options_.wave_cap);
  while (absl::Now() < cap) {
    ASSIGN_OR_RETURN(const auto versions, Versions(v1::TASK_KIND_IMAGE_TEXT));
    champions_.clear();
    int decided = 0;
    for (const v1::ModelVersion& version : versions) {
      const bool served = version.state() == v1::ModelVersion::CHAMPION ||
                          version.state() == v1::ModelVersion::RETIRED;
      if (served || version.state() == v1::ModelVersion::REFUSED) ++decided;
      const auto metric = version.metrics().find("test.exact_match");
      if (served) champions_.push_back(metric == version.metrics().end() ? 0 : metric->second);
    }
    // One round a wave: a wave holds more tasks than start a round, fewer than start two.
    if (decided > wave) return absl::OkStatus();
    ShowStatus();
    absl::SleepFor(kLook);
  }
  FAIRLEAD_LOG(WARNING) << "no decision about a model within the cap wave=" << wave + 1;
  return absl::OkStatus();
}

absl::Status DemoRun::AwaitEnd() {
  const auto submitted = [this] { return ocr_names_.size() + pair_names_.size(); };
  const auto ended = [this] { return static_cast<size_t>(ocr_log_->ended() + pair_log_->ended()); };
  while (ended() < submitted() && absl::Now() < deadline_) {
    RETURN_IF_ERROR(ocr_log_->status());
    RETURN_IF_ERROR(pair_log_->status());
    ShowStatus();
    absl::SleepFor(kLook);
  }
  const absl::Time cap = std::min(deadline_, absl::Now() + kSettleCap);
  const Client operator_client(cluster_->credentials().address,
                               cluster_->credentials().operator_token, client_->tenant());
  // The last rounds still count: wait until no training or prelabel job is left.
  while (models_ && absl::Now() < cap) {
    ASSIGN_OR_RETURN(
        const v1::GetQueuesResponse queues,
        operator_client.Call(operator_client.admin(), &v1::AdminService::Stub::GetQueues,
                             v1::GetQueuesRequest()));
    int64_t left = 0;
    for (const auto& jobs : queues.jobs()) left += jobs.ready() + jobs.delayed() + jobs.leased();
    if (left == 0) break;
    ShowStatus();
    absl::SleepFor(kLook);
  }
  return absl::OkStatus();
}

void DemoRun::ShowStatus(bool at_once) {
  const ContractorCounters crowd = simulator_->counters();
  std::string models;
  if (models_) {
    models = champions_.empty() ? "  no model yet"
                                : absl::StrFormat("  models %d, champion reads %.1f %%",
                                                  champions_.size(), 100 * champions_.back());
  }
  line_.Show(absl::StrFormat(
                 "[%s] wave %d/%d  ocr %d/%d  pairs %d/%d  answers %d  online %d%s  %s", name_,
                 wave_ + 1, options_.waves, ocr_log_->ended(), tasks_.ocr.size(),
                 pair_log_->ended(), tasks_.pairs.size(), crowd.receipts, crowd.connected, models,
                 absl::FormatDuration(absl::Trunc(absl::Now() - start_, absl::Seconds(1)))),
             at_once);
}

absl::Status DemoRun::CollectOutcomes(DemoPass& pass) const {
  const std::map<std::string, TaskOutcome> ocr = ocr_log_->outcomes();
  const std::map<std::string, TaskOutcome> pairs = pair_log_->outcomes();
  pass.submitted = static_cast<int64_t>(ocr_names_.size() + pair_names_.size());
  for (size_t i = 0; i < ocr_names_.size(); ++i) {
    DemoItem item;
    const auto outcome = ocr.find(ocr_names_[i]);
    if (outcome != ocr.end() && outcome->second.state == v1::Task::COMPLETED) {
      const v1::Label& label = outcome->second.label;
      item.completed = true;
      item.right = label.answer().text() == tasks_.texts[i];
      item.answers = label.answers();
      item.used_prelabel = label.used_prelabel();
      ++pass.completed;
    }
    pass.items.push_back(item);
  }
  for (size_t i = 0; i < pair_names_.size(); ++i) {
    const auto outcome = pairs.find(pair_names_[i]);
    if (outcome == pairs.end() || outcome->second.state != v1::Task::COMPLETED) continue;
    ++pass.completed;
    const v1::Answer* truth = tasks_.truth.Find(tasks_.pairs[i].task.payload());
    pass.pairs_right += truth->preferred() == outcome->second.label.answer().preferred() ? 1 : 0;
  }
  const ContractorCounters crowd = simulator_->counters();
  pass.contradicted = ocr_log_->repeated() + pair_log_->repeated() + crowd.changed_receipts;
  pass.annotations = crowd.receipts;
  pass.paid_micros = crowd.paid_micros;
  return absl::OkStatus();
}

}  // namespace fairlead::cli
