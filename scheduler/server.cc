#include "scheduler/server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <iterator>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "common/base/metrics.h"
#include "common/base/status.h"
#include "common/blob/directory_blob_store.h"
#include "common/queue/redis_job_queue.h"
#include "scheduler/api/account_service.h"
#include "scheduler/api/admin_service.h"
#include "scheduler/api/blob_service.h"
#include "scheduler/api/contractor_service.h"
#include "scheduler/api/job_service.h"
#include "scheduler/api/model_service.h"
#include "scheduler/api/project_service.h"
#include "scheduler/api/task_service.h"
#include "scheduler/collect/collector.h"
#include "scheduler/collect/pay_folder.h"
#include "scheduler/dispatch/dispatcher.h"
#include "scheduler/learn/model_loop.h"
#include "scheduler/loop_thread.h"
#include "scheduler/operate/reaper.h"
#include "scheduler/store/recovery.h"

namespace fairlead::scheduler {
namespace {

constexpr int kMaxMessageBytes = 8
                                 << 20;  // Above every limit of ours, so that the refusal is ours.
// Each holds a connection while it waits for Redis; for the disk none waits.
constexpr int kStreamThreads = 16;
// From one round of the dispatcher to the next, and of the collector: what comes meanwhile is
// matched, or concluded, together.
constexpr absl::Duration kRoundGap = absl::Milliseconds(4);
// Threads that stay for the next unary call instead of ending with theirs: a call waits for the
// disk, and one more thread for each costs more than the call does.
constexpr int kIdleCallThreads = 64;

// Everything that lives as long as the process, in order of construction.
class ServerImpl final : public Server {
 public:
  ServerImpl(const ServerOptions& options, std::unique_ptr<RecordLog> log)
      : options_(options),
        log_(std::move(log)),
        pool_(options.redis, [this](const std::string&) { gate_.Close(); }),
        caller_(&pool_, &gate_),
        tasks_(&caller_, options.topology),
        homes_(&caller_, options.topology),
        registry_store_(&caller_),
        scores_(&registry_, &qualifications_),
        calibrations_(&registry_, &scores_),
        index_(log_.get()),
        archive_(&tasks_, &index_),
        hub_(&registry_, &view_, &homes_),
        folder_(&homes_, options.topology),
        blobs_(NewDirectoryBlobStore(options.data_directory + "/blobs")),
        jobs_(&pool_, options.topology.LaneSlots()[0]),
        models_({&tasks_, &registry_store_, &registry_, &index_, &view_, blobs_.get(), &jobs_}),
        follower_(options.redis, log_.get(), &gate_,
                  {&registry_, &qualifications_, &scores_, &calibrations_, &spend_, &index_, &hub_,
                   &view_, &folder_, &models_}),
        recovery_({&pool_, log_.get(), &gate_, &index_, &follower_, &view_}, options.topology,
                  options.replica, options.dev_mode),
        collector_(&tasks_, &registry_, &scores_, &calibrations_, &qualifications_),
        dispatcher_({&tasks_, &view_, &registry_, &scores_, &spend_, &qualifications_,
                     &calibrations_, log_.get(), &index_},
                    dispatch::DefaultPolicy()),
        reaper_(&tasks_, &jobs_),
        archiver_(
            &tasks_, [this](absl::string_view slot) { return follower_.DurableSeq(slot); },
            options.retention),
        methods_(rpc::ServedServices()),
        authenticator_(&registry_, &methods_),
        parts_{&clock_,    &authenticator_, &tasks_,    &archive_,       &homes_,  &registry_store_,
               &registry_, &index_,         &follower_, &view_,          &scores_, blobs_.get(),
               &jobs_,     &grants_,        &spend_,    &qualifications_},
        executor_("streams", kStreamThreads),
        projects_service_(&parts_),
        tasks_service_(&parts_),
        blobs_service_(&parts_),
        contractors_service_(&parts_, &hub_, &executor_),
        accounts_service_(&parts_),
        models_service_(&parts_),
        admin_service_(&parts_),
        jobs_service_(&parts_) {}

  ~ServerImpl() override { Shutdown(); }

  absl::Status Begin();
  void Shutdown() override;

 private:
  absl::Status AddBootstrapOperator();
  void StartLoops();
  // Whether the books have all that the view was loaded with. Until then an answer that was
  // accepted just before a crash would count neither as held nor as paid, nor be evidence.
  bool BooksHaveCaughtUp() const;
  absl::Status Serve();
  void SetServing(bool serving);

  const ServerOptions options_;
  std::unique_ptr<RecordLog> log_;
  RealClock clock_;
  store::Gate gate_;
  redis::ConnectionPool pool_;
  store::SlotCaller caller_;
  store::RedisTaskStore tasks_;
  store::HomeStore homes_;
  store::RegistryStore registry_store_;
  store::RegistryView registry_;
  quality::QualificationBook qualifications_;
  quality::ScoreBook scores_;
  quality::CalibrationBook calibrations_;
  quality::SpendBook spend_;
  store::LogIndex index_;
  store::TaskArchive archive_;
  dispatch::TaskView view_;
  api::WorkHub hub_;
  collect::PayFolder folder_;
  std::unique_ptr<BlobStore> blobs_;
  queue::RedisJobQueue jobs_;
  learn::ModelLoop models_;
  store::EventFollower follower_;
  store::Recovery recovery_;
  collect::Collector collector_;
  dispatch::Dispatcher dispatcher_;
  operate::Reaper reaper_;
  operate::Archiver archiver_;
  rpc::MethodTable methods_;
  api::Authenticator authenticator_;
  api::JobGrants grants_;
  api::Parts parts_;
  Executor executor_;
  api::ProjectServiceImpl projects_service_;
  api::TaskServiceImpl tasks_service_;
  api::BlobServiceImpl blobs_service_;
  api::ContractorServiceImpl contractors_service_;
  api::AccountServiceImpl accounts_service_;
  api::ModelServiceImpl models_service_;
  api::AdminServiceImpl admin_service_;
  api::JobServiceImpl jobs_service_;
  std::unique_ptr<MetricsServer> metrics_;
  std::vector<std::unique_ptr<LoopThread>> loops_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<grpc::Server> health_;
  std::atomic<bool> leading_{false};
  uint64_t seen_change_ = 0;                      // The dispatcher thread's.
  absl::Time next_round_ = absl::InfinitePast();  // The dispatcher thread's.
  uint64_t seen_answer_ = 0;                      // The collector thread's.
  absl::Time next_collect_ = absl::InfinitePast();
};

absl::Status ServerImpl::AddBootstrapOperator() {
  if (options_.bootstrap_operator_token_file.empty()) return absl::OkStatus();
  std::ifstream file(options_.bootstrap_operator_token_file);
  std::string secret{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  absl::StripAsciiWhitespace(&secret);
  if (secret.size() < 32) {
    return FieldError("--bootstrap_operator_token_file",
                      absl::StrCat(options_.bootstrap_operator_token_file,
                                   " must hold a secret of at least 32 characters"));
  }
  authenticator_.AddBootstrapOperator(secret);
  return absl::OkStatus();
}

absl::Status ServerImpl::Begin() {
  RETURN_IF_ERROR(AddBootstrapOperator());
  if (!methods_.missing().empty()) {
    return absl::InternalError(absl::StrCat("no rule says who may call ", methods_.missing()[0]));
  }
  RETURN_IF_ERROR(store::ReplayLog(*log_, {&registry_, &qualifications_, &scores_, &calibrations_,
                                           &spend_, &index_, &folder_, &models_}));
  for (const std::string& slot : options_.topology.AllSlots())
    follower_.Add(slot, index_.LastSeq(slot));
  follower_.Run();
  // A wrong setting refuses to start; a Redis that is merely away does not.
  absl::Status recovered = recovery_.RunOnce();
  if (absl::IsFailedPrecondition(recovered) && ReasonOf(recovered) != "NOT_LEADER")
    return recovered;
  if (!recovered.ok()) FAIRLEAD_LOG(WARNING) << "not ready yet: " << recovered.message();
  leading_ = recovery_.leading();
  if (!options_.metrics_address.empty()) {
    ASSIGN_OR_RETURN(metrics_, StartMetricsServer(options_.metrics_address));
  }
  RETURN_IF_ERROR(Serve());
  StartLoops();
  return absl::OkStatus();
}

bool ServerImpl::BooksHaveCaughtUp() const {
  const std::vector<std::string> slots = options_.topology.ShardSlots();
  return std::all_of(slots.begin(), slots.end(), [this](const std::string& slot) {
    return follower_.DurableSeq(slot) >= view_.LoadedSeq(slot);
  });
}

void ServerImpl::StartLoops() {
  auto leader_only = [this](std::function<absl::StatusOr<int>()> round) {
    return [this, round = std::move(round)]() -> absl::StatusOr<int> {
      return leading_.load() && gate_.open() ? round() : 0;
    };
  };
  auto add = [this](const char* name, absl::Duration idle,
                    std::function<absl::StatusOr<int>()> round) {
    loops_.push_back(std::make_unique<LoopThread>(name, idle, std::move(round)));
  };
  add("recovery", absl::Milliseconds(50), [this]() -> absl::StatusOr<int> {
    gate_.AwaitClosed(absl::Seconds(1));
    absl::Status status = recovery_.RunOnce();
    leading_ = recovery_.leading();
    SetServing(gate_.open() && gate_.Held().ok());
    RETURN_IF_ERROR(status);
    return 0;
  });
  add("dispatch", absl::Milliseconds(1), leader_only([this]() -> absl::StatusOr<int> {
        // Event-driven: sleeps until something changed. The second's wait lets time itself count
        // (waiting floors, prelabels that did not come).
        seen_change_ = view_.AwaitChange(seen_change_, absl::Milliseconds(200));
        absl::SleepFor(next_round_ - absl::Now());
        next_round_ = absl::Now() + kRoundGap;
        if (!BooksHaveCaughtUp()) return 0;
        return dispatcher_.RunOnce(clock_.Now());
      }));
  add("collect", absl::Milliseconds(1), leader_only([this]() -> absl::StatusOr<int> {
        seen_answer_ = view_.AwaitChange(seen_answer_, absl::Milliseconds(200));
        absl::SleepFor(next_collect_ - absl::Now());
        next_collect_ = absl::Now() + kRoundGap;
        return collector_.RunOnce(256);
      }));
  add("fold-pay", absl::Milliseconds(200), leader_only([this] { return folder_.RunOnce(); }));
  add("reap", absl::Milliseconds(50),
      leader_only([this] { return reaper_.RunOnce(clock_.Now()); }));
  add("archive", absl::Seconds(1), leader_only([this] { return archiver_.RunOnce(clock_.Now()); }));
  add("learn", absl::Milliseconds(200),
      leader_only([this] { return models_.RunOnce(clock_.Now()); }));
  add("presence", absl::Seconds(15), [this]() -> absl::StatusOr<int> {
    hub_.RunOnce();
    return 0;
  });
}

absl::Status ServerImpl::Serve() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  for (const std::string& address : options_.listen) {
    builder.AddListeningPort(address, grpc::InsecureServerCredentials());
  }
  for (grpc::Service* service : std::initializer_list<grpc::Service*>{
           &projects_service_, &tasks_service_, &blobs_service_, &contractors_service_,
           &accounts_service_, &models_service_, &admin_service_, &jobs_service_}) {
    builder.RegisterService(service);
  }
  builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
  builder.SetSyncServerOption(grpc::ServerBuilder::MAX_POLLERS, kIdleCallThreads);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 30'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10'000);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 20'000);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 16 << 10);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr) {
    return Error(absl::StatusCode::kFailedPrecondition, "LISTEN_ADDRESS",
                 absl::StrCat("--listen: cannot listen on ", options_.listen[0]));
  }
  if (!options_.health_listen.empty()) {
    grpc::ServerBuilder probe;
    probe.AddListeningPort(options_.health_listen, grpc::InsecureServerCredentials());
    health_ = probe.BuildAndStart();
    if (health_ == nullptr) {
      return Error(absl::StatusCode::kFailedPrecondition, "LISTEN_ADDRESS",
                   absl::StrCat("--health_listen: cannot listen on ", options_.health_listen));
    }
  }
  SetServing(gate_.open());
  return absl::OkStatus();
}

void ServerImpl::SetServing(bool serving) {
  // Readiness: Redis can be written, and what it says be logged. A process that answers at all is
  // alive.
  for (grpc::Server* server : {grpc_.get(), health_.get()}) {
    if (server == nullptr || server->GetHealthCheckService() == nullptr) continue;
    server->GetHealthCheckService()->SetServingStatus("", serving);
    server->GetHealthCheckService()->SetServingStatus("fairlead.v1.Scheduler", serving);
  }
}

void ServerImpl::Shutdown() {
  if (grpc_ != nullptr) {
    SetServing(false);
    grpc_->Shutdown(std::chrono::system_clock::now() + std::chrono::seconds(3));
    grpc_->Wait();
  }
  loops_.clear();
  if (health_ != nullptr) health_->Shutdown(std::chrono::system_clock::now());
  recovery_.Resign();
  follower_.Stop();
}

}  // namespace

absl::Status ServerOptions::Validate() const {
  RETURN_IF_ERROR(redis.Validate());
  if (data_directory.empty())
    return FieldError("--data", "is required: where the record log is kept");
  if (listen.empty()) return FieldError("--listen", "is required: unix:/path or host:port");
  if (topology.shards < 1 || topology.shards > 1024)
    return FieldError("--shards", "must be 1 to 1024");
  if (topology.homes < 1 || topology.homes > 1024)
    return FieldError("--homes", "must be 1 to 1024");
  if (topology.lanes != 1) return FieldError("--lanes", "must be 1");
  return retention.Validate();
}

absl::StatusOr<std::unique_ptr<Server>> Server::Start(const ServerOptions& options) {
  RETURN_IF_ERROR(options.Validate());
  RecordLogOptions log_options;
  log_options.directory = options.data_directory + "/log";
  ASSIGN_OR_RETURN(std::unique_ptr<RecordLog> log, RecordLog::Open(log_options));
  if (log->CutBytes() > 0) {
    FAIRLEAD_LOG(WARNING) << "torn tail of the record log was cut bytes=" << log->CutBytes();
  }
  auto server = std::make_unique<ServerImpl>(options, std::move(log));
  RETURN_IF_ERROR(server->Begin());
  return server;
}

}  // namespace fairlead::scheduler
