// Every function of the machine lane under wrong arguments, and its client under wrong replies: an
// error, and never a broken lane. Seeded; a failure prints the calls since the last check.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/mutex.h"
#include "common/base/status.h"
#include "common/queue/lane_wire.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"
#include "tests/queue/lane_audit.h"
#include "tests/queue/lane_fixture.h"
#include "tests/sim/dice.h"
#include "tests/support/reply_server.h"
#include "tests/support/status_matchers.h"

namespace fairlead::queue {
namespace {

using redis::Arguments;
using redis::Reply;

constexpr int kJobs = 12;
constexpr int kCalls = 10000;
constexpr int kFunctions = 15;
const std::vector<std::string> kFlows = {"acme/f0", "acme/f1"};

struct Call {
  std::string function;
  std::vector<std::string> keys = LaneKeys("m0");
  Arguments arguments;  // Behind time and incarnation.
  std::string Text() const {
    return absl::StrCat(function, " keys=", keys.size(), " args=",
                        absl::StrJoin(arguments, ",", [](std::string* out, const std::string& a) {
                          absl::StrAppend(out, "'", absl::CHexEscape(a.substr(0, 40)), "'");
                        }));
  }
};

class LaneFuzzTest : public ::testing::Test {
 protected:
  void SetUp() override {
    testing::RedisServerOptions options;
    options.append_only = false;
    lane_ = RedisLane::Create(options);
    ASSERT_NE(lane_, nullptr);
    for (int i = 0; i < kJobs; ++i) jobs_.push_back(absl::StrCat("j", i));
  }

  // Of every id there is: a wrong one may be as good as another.
  absl::Status Audit() {
    ASSIGN_OR_RETURN(const Reply ids, lane_->pool().Call({"HKEYS", redis::JobsKey("m0")}));
    return AuditLane(lane_->queue(), Texts(ids));
  }
  int Pick(int n) { return dice_.Below(n); }
  std::string AnyJob() { return jobs_[static_cast<size_t>(Pick(kJobs))]; }
  std::string Number(int n) { return absl::StrCat(n); }
  NewJob AnyNewJob() {
    NewJob job;
    job.record.set_job(AnyJob());
    job.record.set_kind(dice_.Percent(70) ? "train-ocr" : "prelabel-ocr");
    job.record.set_model(kFlows[static_cast<size_t>(Pick(2))]);
    if (dice_.Percent(30)) job.priority = Pick(3) - 1;
    if (dice_.Percent(20)) job.deadline = lane_->clock().Now() + absl::Seconds(Pick(100));
    if (dice_.Percent(20)) job.start = lane_->clock().Now() + absl::Seconds(Pick(100));
    return job;
  }
  TickRequest AnyTick() {
    TickRequest request = MakeTick(absl::StrCat("s", life_, "-", Pick(3)), Pick(4));
    for (int i = Pick(3); i > 0 && !tokens_.empty(); --i) {
      const std::string token =
          tokens_[tokens_.size() - 1 -
                  static_cast<size_t>(Pick(std::min(static_cast<int>(tokens_.size()), 6)))];
      const int roll = Pick(3);
      if (roll == 0) request.acks.emplace_back().token = token;
      if (roll == 1) request.nacks.push_back({token, "no", dice_.Percent(30)});
      if (roll == 2) request.progress.push_back({token, "note"});
    }
    return request;
  }
  Call TickCall() {
    const TickRequest request = AnyTick();
    const std::string grant = absl::StrCat("ab", ++serial_);
    Call call{"tick"};
    call.arguments = {request.session, Describe(request),
                      grant,           absl::StrCat("1|10000|", request.want, "|0|2"),
                      "train-ocr",     "0",
                      "prelabel-ocr",  "0"};
    std::vector<std::string> malformed;
    AppendAcks(request, &call.arguments, &malformed);
    AppendNacksAndNotes(request, &call.arguments);
    for (int i = 1; i <= request.want; ++i) tokens_.push_back(absl::StrCat(grant, "-", i));
    return call;
  }
  // A call that is in order.
  Call AnyCall() {
    const int roll = Pick(100);
    if (roll < 35) return TickCall();
    if (roll < 50) {
      std::vector<NewJob> jobs(1 + static_cast<size_t>(Pick(4)));
      for (NewJob& job : jobs) job = AnyNewJob();
      return {"enqueue", LaneKeys("m0"), EnqueueArguments(jobs, {})};
    }
    const std::string flow = kFlows[static_cast<size_t>(Pick(2))];
    const std::string session = absl::StrCat("s", life_, "-", Pick(3));
    const std::vector<std::pair<std::string, Arguments>> others = {
        {"find", {AnyJob()}},
        {"mine", {session}},
        {"reap", {Number(1 + Pick(100))}},
        {"cancel", {AnyJob()}},
        {"replay", {AnyJob(), AnyJob()}},
        {"purge", {AnyJob(), AnyJob()}},
        {"drain", {session, Number(Pick(2))}},
        {"limit", {flow, Number(1 + Pick(3)), Number(Pick(3)), Number(Pick(2)), "1", "0", "0"}},
        {"keep", {"1000", "5000", Number(Pick(20))}},
        {"sessions", {"10"}},
        {"dead", {"0", "10", "", ""}},
        {"stats", {}},
        {"inspect", {AnyJob()}}};
    const auto& [name, arguments] = others[static_cast<size_t>(Pick(13))];
    return {name, LaneKeys("m0"), arguments};
  }

  // Makes a call wrong in one to three places. Records stay readable: a function keeps them as they
  // are. What is spoilt may still be in order: then it is done.
  void Spoil(Call& call) {
    static const std::string kNasty[] = {"",
                                         "-",
                                         "-1",
                                         "0",
                                         "1e3",
                                         "nan",
                                         "-nan",
                                         "inf",
                                         "0x10",
                                         "1.5",
                                         " 5",
                                         "5 ",
                                         "1-",
                                         "1-100000",
                                         "1,2,3",
                                         "99999999999999999999",
                                         std::string("\0|\n\xff", 4),
                                         "|",
                                         "a\nb",
                                         "1|10000|3",
                                         "1|99999999999999999999|1|1",
                                         "100o",
                                         std::string(20'000, '9')};
    constexpr int kKinds = sizeof(kNasty) / sizeof(kNasty[0]);
    Arguments& arguments = call.arguments;
    const int size = static_cast<int>(arguments.size());
    if (size == 0 || dice_.Percent(10)) {
      dice_.Percent(50) ? call.keys.pop_back() : call.keys.push_back("fl:{m0}:extra");
      return;
    }
    if (dice_.Percent(25)) {
      const auto at = arguments.begin() + Pick(size);
      dice_.Percent(50) ? arguments.erase(at) : arguments.insert(at, "extra");
      return;
    }
    for (int i = 0; i <= Pick(3); ++i) {
      std::string& argument = arguments[static_cast<size_t>(Pick(size))];
      const bool record = call.function == "enqueue" && argument.size() > 7;
      if (!record) argument = kNasty[Pick(kKinds)];
    }
  }

  sim::Dice dice_{20261125};
  std::unique_ptr<RedisLane> lane_;
  std::vector<std::string> jobs_, tokens_;
  int serial_ = 0, life_ = 0;
};

TEST_F(LaneFuzzTest, WrongArgumentsChangeNothingByHalves) {
  std::map<std::string, int> done, refused;
  std::string history;  // Since the last check.
  for (int i = 0; i < kCalls; ++i) {
    Call call = AnyCall();
    const bool spoilt = dice_.Percent(50);
    if (spoilt) Spoil(call);
    Arguments arguments = {absl::StrCat(absl::ToUnixMillis(lane_->clock().Now())), "1-a"};
    if (spoilt && dice_.Percent(5)) arguments[0] = dice_.Percent(50) ? "nan" : "1e300";
    arguments.insert(arguments.end(), call.arguments.begin(), call.arguments.end());
    history = absl::StrCat(i % 8 == 0 ? "" : history, arguments[0], " ", call.Text(), "\n");
    const auto reply =
        redis::CallFunction(lane_->pool(), "fl_lane3_" + call.function, call.keys, arguments);
    ASSERT_TRUE(reply.ok() || spoilt) << call.Text() << " " << reply.status();
    const std::string code = reply.ok() ? reply->elements.at(0).text : "error";
    ASSERT_TRUE(code != "INVALID" || spoilt) << call.Text();
    ++(code == "OK" ? done : refused)[call.function];
    if (dice_.Percent(5)) {
      lane_->clock().Advance(absl::Seconds(Pick(30)));
      ++life_;  // Of the sessions: those of before are let go.
    }
    if (i % 8 == 7) {
      ASSERT_OK(Audit()) << history;
    }
    if (i % 400 == 399) {
      ASSERT_OK(FinishLane(*lane_, kFlows)) << history;
      ASSERT_OK(lane_->Clear());
    }
  }
  // Every function was reached both ways: else the test has grown blind.
  auto names = [](const std::map<std::string, int>& counts) {
    return absl::StrJoin(counts, " ", absl::PairFormatter("="));
  };
  EXPECT_EQ(done.size(), kFunctions) << names(done);
  EXPECT_EQ(refused.size(), kFunctions) << names(refused);
}

// Bends a reply in one place.
void Bend(Reply& reply, sim::Dice& dice) {
  if (!reply.elements.empty() && dice.Percent(75)) {
    const auto at = static_cast<size_t>(dice.Below(static_cast<int>(reply.elements.size())));
    return Bend(reply.elements[at], dice);
  }
  const Reply::Type was = reply.type;
  switch (dice.Below(8)) {
    case 0:
      reply = Reply();
      break;
    case 1:
      reply.type = Reply::Type::kInteger;
      reply.integer = dice.Percent(50) ? INT64_MAX : -static_cast<int64_t>(dice.Next() >> 40);
      break;
    case 2:
      reply = Reply();
      reply.type = Reply::Type::kArray;
      break;
    case 3:
      reply.type = Reply::Type::kString;
      reply.text = std::string(static_cast<size_t>(dice.Below(40)), '\xff');
      break;
    case 4:
      reply.type = Reply::Type::kError;
      reply.text = "ERR bent";
      break;
    case 5:
      if (was == Reply::Type::kString && !reply.text.empty()) {
        reply.text.resize(static_cast<size_t>(dice.Below(static_cast<int>(reply.text.size()))));
      }
      break;
    case 6:
      if (!reply.elements.empty()) reply.elements.pop_back();
      break;
    default:
      if (!reply.elements.empty()) reply.elements.push_back(reply.elements[0]);
  }
}

// One of everything the client can ask, whatever comes back.
void AskAll(RedisJobQueue& queue, const NewJob& job, const TickRequest& tick,
            std::map<std::string, int>* refused) {
  const auto count = [&](const char* what, const absl::Status& status) {
    if (!status.ok()) ++(*refused)[what];
  };
  const std::string& id = job.record.job();
  count("enqueue", queue.EnqueueBatch({job, job}).status());
  const auto response = queue.Tick(tick);
  count("tick", response.status());
  if (response.ok()) {
    for (const Lease& lease : response->leases) EXPECT_FALSE(lease.job.job().empty());
  }
  count("ticks", queue.TickAll({tick, tick}).status());
  count("mine", queue.Mine(tick.session).status());
  count("reap", queue.Reap(10).status());
  count("cancel", queue.Cancel(id));
  count("replay", queue.ReplayAll({id}).status());
  count("purge", queue.Purge({id}).status());
  count("drain", queue.SetDrain(tick.session, false).status());
  count("limits", queue.SetLimits("acme/f0", FlowLimits()));
  count("retention", queue.SetRetention(Retention()));
  count("find", queue.Find(id).status());
  count("inspect", queue.Inspect(id).status());
  count("stats", queue.Stats().status());
  count("sessions", queue.Sessions(10).status());
  count("dead", queue.SearchDead(DeadQuery()).status());
}

TEST_F(LaneFuzzTest, BentRepliesAreErrorsAndLeaveTheLaneAlone) {
  sim::Dice bends{7};
  Mutex mu;
  std::atomic<int> percent{0};
  const std::string path = lane_->server().directory() + "/bent.sock";
  const auto server = testing::ReplyServer::Start(path, [&](const Arguments& command) {
    auto reply = lane_->pool().Call(command);
    Reply out;
    if (reply.ok()) {
      out = *std::move(reply);
    } else {
      out.type = Reply::Type::kError;
      out.text = "ERR refused";
    }
    MutexLock lock(&mu);
    if (command[0] == "FCALL" && bends.Percent(percent)) Bend(out, bends);
    return testing::EncodeReply(out);
  });
  ASSERT_OK(server);
  redis::RedisOptions options = lane_->server().client_options();
  options.address = "unix:" + path;
  redis::ConnectionPool pool(options);
  std::map<std::string, int> refused;
  for (int i = 0; i < 300; ++i) {
    RedisJobQueue queue(&pool, "m0", &lane_->clock());
    percent = 60;
    AskAll(queue, AnyNewJob(), AnyTick(), &refused);
    percent = 0;
    ASSERT_OK(Audit()) << "round " << i;
    // What was bent is forgotten: the same client goes on.
    EXPECT_OK(queue.Stats());
    lane_->clock().Advance(absl::Seconds(Pick(9)));
  }
  ASSERT_OK(FinishLane(*lane_, kFlows));
  EXPECT_EQ(refused.size(), 16) << absl::StrJoin(refused, " ", absl::PairFormatter("="));
}

}  // namespace
}  // namespace fairlead::queue
