// What a real network and a real server do to the tasks' queues: lost requests, lost and late
// replies, killed connections, and an append-only file that lost its end.
#include <gtest/gtest.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/queue/redis_job_queue.h"
#include "common/record_log/record_log.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"
#include "scheduler/dispatch/task_view.h"
#include "scheduler/store/recovery.h"
#include "tests/common/temp_directory.h"
#include "tests/store/shard_check.h"
#include "tests/store/task_backend.h"
#include "tests/store/whole_way.h"
#include "tests/support/eventually.h"
#include "tests/support/fault_proxy.h"
#include "tests/support/status_matchers.h"

namespace fairlead::store {
namespace {

using ::fairlead::v1::Task;
using testing::NetFault;

class NetworkTest : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_ = static_cast<RedisBackend*>(SharedBackend("Redis"));
    ASSERT_NE(backend_, nullptr);
  }
  void Clear() {
    ASSERT_OK(backend_->Clear());
    ASSERT_OK(backend_->store().PutProject(MakeProject(), 0));
  }
  RedisBackend* backend_ = nullptr;
};

TEST_F(NetworkTest, EffectsHappenOnceWhicheverCallTheNetworkLoses) {
  const std::string path = backend_->server().directory() + "/faulty.sock";
  auto proxy = testing::FaultProxy::Start(path, backend_->server().socket_path());
  ASSERT_OK(proxy);
  redis::RedisOptions options = backend_->server().client_options();
  options.address = "unix:" + path;
  options.command_timeout = absl::Milliseconds(150);
  redis::ConnectionPool pool(options);
  const SlotCaller caller(&pool, &backend_->gate(), &backend_->clock());
  RedisTaskStore store(&caller, Topology());
  for (NetFault fault : {NetFault::kLoseRequest, NetFault::kLoseReply, NetFault::kHoldReply}) {
    int lost = 0;
    for (int i = 0; i < 12; ++i) {
      SCOPED_TRACE(absl::StrCat("call ", i, " fault ", static_cast<int>(fault)));
      ASSERT_NO_FATAL_FAILURE(Clear());
      int seen = 0;
      (*proxy)->SetPlan([&](absl::string_view request) {
        if (!absl::StrContains(request, "fl_task_") || seen++ != i) return NetFault::kNone;
        ++lost;
        return fault;
      });
      ASSERT_OK(GoTheWholeWay(store, backend_->NowMs(), [] {}));
      (*proxy)->SetPlan(nullptr);
      ASSERT_OK(CheckTheWholeWay(backend_->store()));
      ASSERT_OK(CheckShard(backend_->pool(), "s0"));
    }
    EXPECT_EQ(lost, 12);
  }
}

TEST_F(NetworkTest, EffectsHappenOnceWhenConnectionsAreKilled) {
  ASSERT_NO_FATAL_FAILURE(Clear());
  redis::Connection operator_connection(backend_->server().client_options());
  int killed = 0;
  ASSERT_OK(GoTheWholeWay(backend_->store(), backend_->NowMs(), [&] {
    auto reply = operator_connection.Call({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
    if (reply.ok()) killed += static_cast<int>(reply->AsInt());
  }));
  EXPECT_GE(killed, 10);
  // The pool may still hold one that was killed: the first call says so, the next is a new one.
  backend_->store().Counts(kProject).IgnoreError();
  ASSERT_OK(CheckTheWholeWay(backend_->store()));
  ASSERT_OK(CheckShard(backend_->pool(), "s0"));
}

// A scheduler's storage half on a Redis whose files can be put back.
class LostTailTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::RedisServerOptions options;
    options.arguments = {"--appendfsync", "always"};
    auto server = testing::RedisServer::Start(options);
    ASSERT_OK(server);
    server_ = *std::move(server);
    RecordLogOptions log_options;
    log_options.directory = directory_.File("log");
    auto log = RecordLog::Open(log_options);
    ASSERT_OK(log);
    log_ = *std::move(log);
    index_ = std::make_unique<LogIndex>(log_.get());
    pool_ = std::make_unique<redis::ConnectionPool>(server_->client_options(),
                                                    [this](const std::string&) { gate_.Close(); });
    caller_ = std::make_unique<SlotCaller>(pool_.get(), &gate_);
    store_ = std::make_unique<RedisTaskStore>(caller_.get(), Topology());
    follower_ = std::make_unique<EventFollower>(server_->client_options(), log_.get(), &gate_,
                                                std::vector<EventSink*>{index_.get(), &view_});
    recovery_ = std::make_unique<Recovery>(
        RecoveryParts{pool_.get(), log_.get(), &gate_, index_.get(), follower_.get(), &view_},
        Topology(), "one", /*dev_mode=*/false);
    for (const std::string& slot : Topology().AllSlots()) follower_->Add(slot, 0);
    follower_->Run();
    ASSERT_OK(recovery_->RunOnce());
    ASSERT_OK(store_->PutProject(MakeProject(), 0));
  }
  void TearDown() override {
    if (follower_ != nullptr) follower_->Stop();
  }

  std::string Aof() const { return server_->directory() + "/appendonlydir"; }
  std::string Incarnation() { return *gate_.IncarnationOf("s0"); }
  void Submit(const std::string& id, const std::vector<std::string>& takers) {
    auto submitted =
        store_->Submit(kProject, "r-" + id, "h", {MakeTask(id, absl::ToUnixMillis(absl::Now()))});
    ASSERT_OK(submitted);
    for (const std::string& who : takers) {
      ASSERT_OK(store_->Offer(
          "s0", {{Ref(id), who, "as-" + who, "t-" + who, absl::Hours(1), absl::Hours(1)}}));
      ASSERT_OK(store_->Accept(Ref(id), who, "t-" + who));
    }
    ASSERT_OK(
        follower_->AwaitDurable({"s0", submitted->seq, follower_->Life()}, absl::Seconds(20)));
  }
  absl::StatusOr<Annotated> Answer(const std::string& id, const std::string& who) {
    return store_->Annotate(Ref(id), who, "t-" + who, MakeAnnotation(id, who, "t-" + who));
  }
  static TaskRef Ref(const std::string& id) { return {kProject, id}; }
  // Restarts Redis; recovers until the gate is open.
  void Restart() {
    ASSERT_OK(server_->Restart(/*keep_files=*/true));
    absl::Status status = absl::UnknownError("not run");
    for (int i = 0; i < 20 && !(status.ok() && gate_.open()); ++i) status = recovery_->RunOnce();
    ASSERT_OK(status);
    ASSERT_TRUE(gate_.open());
  }
  // What a caller gets that still believes in `incarnation`.
  std::string CodeUnder(const std::string& incarnation) {
    auto reply = redis::CallFunction(
        *pool_, "fl_task_project_put",
        {redis::IncarnationKey("s0"), redis::SequenceKey("s0"), redis::EventsKey("s0"),
         redis::ProjectsKey("s0"), redis::ProjectKey("s0", "acme/zombie")},
        {"0", incarnation, "acme/zombie", "0", "", "0", "10"});
    EXPECT_OK(reply);
    return reply.ok() ? reply->elements.at(0).AsText() : "";
  }

  TempDirectory directory_;
  std::unique_ptr<testing::RedisServer> server_;
  std::unique_ptr<RecordLog> log_;
  std::unique_ptr<LogIndex> index_;
  std::unique_ptr<redis::ConnectionPool> pool_;
  Gate gate_;
  std::unique_ptr<SlotCaller> caller_;
  std::unique_ptr<RedisTaskStore> store_;
  dispatch::TaskView view_;
  std::unique_ptr<EventFollower> follower_;
  std::unique_ptr<Recovery> recovery_;
};

TEST_F(LostTailTest, AnOlderFilePutBackRevivesNothingAndLosesNothingAcknowledged) {
  ASSERT_NO_FATAL_FAILURE(Submit("a", {"ann"}));
  const std::string first = Incarnation();
  server_->Kill();
  const std::string backup = directory_.File("backup");
  std::filesystem::copy(Aof(), backup, std::filesystem::copy_options::recursive);
  ASSERT_NO_FATAL_FAILURE(Restart());
  const std::string second = Incarnation();
  EXPECT_NE(first, second);

  ASSERT_NO_FATAL_FAILURE(Submit("b", {"bob"}));
  auto receipt = Answer("a", "ann");
  ASSERT_OK(receipt);
  ASSERT_NO_FATAL_FAILURE(Submit("c", {}));
  auto ended = store_->End(Ref("c"), Task::CANCELLED, "no need");
  ASSERT_OK(ended);
  ASSERT_OK(follower_->AwaitDurable({"s0", *ended, follower_->Life()}, absl::Seconds(20)));

  server_->Kill();
  std::filesystem::remove_all(Aof());
  std::filesystem::copy(backup, Aof(), std::filesystem::copy_options::recursive);
  ASSERT_NO_FATAL_FAILURE(Restart());
  for (const std::string& old : {first, second}) EXPECT_EQ(CodeUnder(old), "INCARNATION");
  // Acknowledged, so there: the task, the answer with its receipt, the end.
  auto again = Answer("a", "ann");
  ASSERT_OK(again);
  EXPECT_EQ(again->record.SerializeAsString(), receipt->record.SerializeAsString());
  EXPECT_EQ(store_->Load(Ref("b"))->state, Task::READY);
  auto counts = store_->Counts(kProject);
  ASSERT_OK(counts);
  EXPECT_EQ(counts->submitted, 3);
  EXPECT_EQ(counts->cancelled, 1);
  EXPECT_EQ(counts->annotations, 1);
  // Bob's lease went with the tail: its token is nobody's.
  EXPECT_EQ(ReasonOf(Answer("b", "bob").status()), "LEASE_LOST");
  auto repeated = store_->Submit(kProject, "r-b", "h", {MakeTask("other", 1)});
  ASSERT_OK(repeated);
  EXPECT_EQ(repeated->tasks.at(0), "b");
  EXPECT_OK(CheckShard(*pool_, "s0"));
}

// Jobs of the machine lane, whose workers call Redis without asking a scheduler.
class LostLaneTailTest : public LostTailTest {
 protected:
  void SetUp() override {
    LostTailTest::SetUp();
    if (HasFatalFailure()) return;
    pool_of_worker_ = std::make_unique<redis::ConnectionPool>(server_->client_options());
    lane_ = std::make_unique<queue::RedisJobQueue>(pool_of_worker_.get(), "m0");
    v1::JobRecord job;
    job.set_kind("train-ocr");
    for (const char* id : {"a", "b"}) {
      job.set_job(id);
      ASSERT_OK(lane_->Enqueue(job, 0));
    }
    held_ = Tick(*lane_, "old", 2).leases;
    ASSERT_EQ(held_.size(), 2u);
    std::filesystem::copy(Aof(), Backup(), std::filesystem::copy_options::recursive);
  }
  std::string Backup() { return directory_.File("backup"); }
  static queue::TickRequest Request(const std::string& session, int want) {
    queue::TickRequest request;
    request.session = session;
    request.kinds = {"train-ocr"};
    request.want = want;
    request.lease = absl::Minutes(1);
    return request;
  }
  static queue::TickResponse Tick(queue::JobQueue& lane, const std::string& session, int want,
                                  const std::vector<queue::Lease>& done = {}) {
    queue::TickRequest request = Request(session, want);
    for (const queue::Lease& lease : done) request.acks.emplace_back().token = lease.token;
    auto response = lane.Tick(request);
    EXPECT_OK(response);
    return response.ok() ? *std::move(response) : queue::TickResponse();
  }
  // Redis dies and comes back with the older file; no scheduler has looked at it yet.
  void PutBack() {
    server_->Kill();
    std::filesystem::remove_all(Aof());
    std::filesystem::copy(Backup(), Aof(), std::filesystem::copy_options::recursive);
    ASSERT_OK(server_->Restart(/*keep_files=*/true));
    lane_->Stats().status().IgnoreError();  // The pool notices that its connections are broken.
  }
  void Recover() {
    absl::Status status = absl::UnknownError("not run");
    for (int i = 0; i < 20 && !(status.ok() && gate_.open()); ++i) status = recovery_->RunOnce();
    ASSERT_OK(status);
    ASSERT_TRUE(testing::Eventually(absl::Seconds(20), [&] { return lane_->Stats().ok(); }));
  }
  std::vector<std::string> LoggedEnds() {
    std::vector<std::string> ids;
    EXPECT_OK(log_->Read(0, [&](int64_t, absl::string_view record) {
      v1::Event event;
      EXPECT_TRUE(event.ParseFromArray(record.data(), static_cast<int>(record.size())));
      for (const auto& one : event.jobs_finished().jobs()) ids.push_back(one.job().job());
      return absl::OkStatus();
    }));
    return ids;
  }

  std::unique_ptr<redis::ConnectionPool> pool_of_worker_;
  std::unique_ptr<queue::RedisJobQueue> lane_;
  std::vector<queue::Lease> held_;
};

TEST_F(LostLaneTailTest, AnOlderFilePutBackMakesNoTokenValidAgain) {
  EXPECT_TRUE(Tick(*lane_, "old", 0, held_).lost.empty());
  ASSERT_TRUE(testing::Eventually(absl::Seconds(20), [&] { return LoggedEnds().size() == 2; }));
  ASSERT_NO_FATAL_FAILURE(PutBack());
  // To this Redis the jobs are leased, and the tokens valid. A worker whose ack went unanswered
  // says it again.
  queue::TickRequest late = Request("old", 0);
  for (const queue::Lease& lease : held_) late.acks.emplace_back().token = lease.token;
  EXPECT_EQ(ReasonOf(lane_->Tick(late).status()), "LANE_CLOSED");
  EXPECT_EQ(ReasonOf(lane_->Mine("old").status()), "LANE_CLOSED");
  v1::JobRecord job;
  job.set_job("c");
  job.set_kind("train-ocr");
  EXPECT_EQ(ReasonOf(lane_->Enqueue(job, 0).status()), "LANE_CLOSED");

  ASSERT_NO_FATAL_FAILURE(Recover());
  EXPECT_TRUE(lane_->Mine("old")->empty());
  EXPECT_TRUE(Tick(*lane_, "old", 0, held_).fenced);
  EXPECT_TRUE(*lane_->Enqueue(job, 0));
  const std::vector<queue::Lease> taken = Tick(*lane_, "new", 9).leases;
  ASSERT_EQ(taken.size(), 1u) << "the ended jobs are not there any more";
  EXPECT_TRUE(Tick(*lane_, "new", 0, taken).lost.empty());
  ASSERT_TRUE(testing::Eventually(absl::Seconds(20), [&] { return LoggedEnds().size() > 2; }));
  EXPECT_EQ(LoggedEnds(), (std::vector<std::string>{"a", "b", "c"}));
}

// Nothing has ended since the copy, so the record log has nothing against it.
TEST_F(LostLaneTailTest, JobsThatWentOnAreNotTheirFormerHoldersAgain) {
  queue::TickRequest back = Request("old", 0);
  for (const queue::Lease& lease : held_) back.nacks.push_back({lease.token, "", true});
  ASSERT_OK(lane_->Tick(back));
  const std::vector<queue::Lease> taken = Tick(*lane_, "next", 2).leases;
  ASSERT_EQ(taken.size(), 2u);
  ASSERT_NO_FATAL_FAILURE(PutBack());
  ASSERT_NO_FATAL_FAILURE(Recover());
  // As a worker does whose calls went unanswered.
  EXPECT_TRUE(lane_->Mine("old")->empty());
  EXPECT_TRUE(Tick(*lane_, "old", 0, held_).fenced);
  EXPECT_TRUE(Tick(*lane_, "next", 0, taken).fenced);
  EXPECT_TRUE(LoggedEnds().empty());
}

// Or it would get the number of an event that is lost, and the record log would seem to be right.
TEST_F(LostTailTest, ACallThatMeetsTheOlderFileIsNotSent) {
  ASSERT_NO_FATAL_FAILURE(Submit("a", {}));
  const std::string backup = directory_.File("backup");
  std::filesystem::copy(Aof(), backup, std::filesystem::copy_options::recursive);
  ASSERT_NO_FATAL_FAILURE(Submit("b", {}));
  server_->Kill();
  std::filesystem::remove_all(Aof());
  std::filesystem::copy(backup, Aof(), std::filesystem::copy_options::recursive);
  ASSERT_OK(server_->Restart(/*keep_files=*/true));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(store_->End(Ref("a"), Task::CANCELLED, "no need").status().code(),
              absl::StatusCode::kUnavailable);
  }
  EXPECT_FALSE(gate_.open());
  EXPECT_EQ(store_->Load(Ref("a"))->state, Task::READY);
  EXPECT_TRUE(absl::IsNotFound(store_->Load(Ref("b")).status()));
}

TEST_F(LostTailTest, AFullRedisIsOpenedAgain) {
  ASSERT_NO_FATAL_FAILURE(Submit("a", {}));
  ASSERT_OK(pool_->Call({"CONFIG", "SET", "maxmemory", "1"}));
  const std::string before = Incarnation();
  gate_.Close();
  ASSERT_OK(recovery_->RunOnce());
  EXPECT_NE(Incarnation(), before);
  EXPECT_OK(store_->End(Ref("a"), Task::CANCELLED, "no need"));
}

TEST_F(LostTailTest, ATakenOverLeaderIsRefusedAlthoughTheOlderFileNamesIt) {
  ASSERT_NO_FATAL_FAILURE(Submit("a", {}));
  const std::string incarnation = Incarnation();
  recovery_->Resign();
  // Another replica, with a log of its own.
  RecordLogOptions options;
  options.directory = directory_.File("other-log");
  auto log = RecordLog::Open(options);
  ASSERT_OK(log);
  LogIndex index(log->get());
  Gate gate;
  dispatch::TaskView view;
  EventFollower follower(server_->client_options(), log->get(), &gate, {&index, &view});
  Recovery successor({pool_.get(), log->get(), &gate, &index, &follower, &view}, Topology(), "two",
                     /*dev_mode=*/false);
  ASSERT_OK(successor.RunOnce());
  EXPECT_NE(*gate.IncarnationOf("s0"), incarnation);
  const auto late = store_->End(Ref("a"), Task::CANCELLED, "said by the old leader");
  EXPECT_EQ(ReasonOf(late.status()), "STORE_RECOVERING") << late.status();
  EXPECT_FALSE(gate_.open()) << "it has to look first";
  EXPECT_EQ(ReasonOf(recovery_->RunOnce()), "NOT_LEADER");
}

}  // namespace
}  // namespace fairlead::store
