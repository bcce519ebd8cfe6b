// Every function of the task, home and registry libraries under wrong arguments: an error, and
// nothing half done. Seeded; a failure prints the call.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "common/base/status.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"
#include "tests/sim/dice.h"
#include "tests/store/shard_check.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"

namespace fairlead::store {
namespace {

using redis::Arguments;

struct Call {
  std::string function;
  std::vector<std::string> keys;
  Arguments arguments;
  std::string Text() const {
    return absl::StrCat(function, " keys=", keys.size(), " args=",
                        absl::StrJoin(arguments, ",", [](std::string* out, const std::string& a) {
                          absl::StrAppend(out, "'", absl::CHexEscape(a.substr(0, 40)), "'");
                        }));
  }
};

constexpr int kTasks = 240;
constexpr int kCalls = 4000;

class FunctionFuzzTest : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_ = static_cast<RedisBackend*>(SharedBackend("Redis"));
    ASSERT_NE(backend_, nullptr);
    ASSERT_OK(backend_->store().PutProject(MakeProject(kProject, kTasks), 0));
  }

  // One of the newest, or one that is not there.
  std::string Task() { return absl::StrCat("t", std::max(0, next_ - 1 - dice_.Below(2))); }
  std::string Who() { return std::string(1, static_cast<char>('a' + dice_.Below(2))); }
  std::string Token() { return dice_.Percent(92) ? "k" : "another"; }
  std::string Now() { return absl::StrCat(backend_->NowMs()); }

  std::vector<std::string> SlotKeys(const std::string& slot) {
    return {redis::IncarnationKey(slot), redis::SequenceKey(slot), redis::EventsKey(slot)};
  }
  std::vector<std::string> TaskKeys(const std::string& task) {
    std::vector<std::string> keys = SlotKeys("s0");
    for (const std::string& key :
         {redis::ProjectKey("s0", kProject), redis::TaskKey("s0", task),
          redis::PlacesKey("s0", task), redis::ReadyKey("s0", kProject), redis::DeadlinesKey("s0"),
          redis::DirtyKey("s0"), redis::LiveKey("s0"), redis::ExpiriesKey("s0"),
          redis::EndedKey("s0"), redis::DeadKey("s0"), redis::DelayedKey("s0")}) {
      keys.push_back(key);
    }
    return keys;
  }

  // A call that is in order.
  Call TaskCall() {
    const std::string task = Task(), who = Who(), token = Token();
    const std::string annotation = MakeAnnotation(task, who, token).SerializeAsString();
    v1::LabelRecord label_record;
    label_record.set_task(task);
    const std::string label = label_record.SerializeAsString();
    v1::PrelabelRecord prelabel_record;
    prelabel_record.set_task(task);
    const std::string prelabel = prelabel_record.SerializeAsString();
    const std::string version = absl::StrCat(1 + dice_.Below(4));
    static const char* kTo[] = {"DECLINED", "RETURNED", "REPORTED", "DUE"};
    static const char* kEnds[] = {"CANCELLED", "EXPIRED", "DEAD"};
    const std::vector<std::pair<std::string, Arguments>> verbs = {
        {"offer", {who, "as", token, "100000", "200000", "1", "1", dice_.Percent(30) ? "1" : "0"}},
        {"accept", {who, token}},
        {"extend", {who, token}},
        {"release", {who, token, kTo[dice_.Below(4)], "why"}},
        {"annotate", {who, token, annotation}},
        {"complete", {version, label}},
        {"finish", {kEnds[dice_.Below(3)], "why"}},
        {"set_want", {version, absl::StrCat(1 + dice_.Below(4))}},
        {"prelabel", {prelabel}},
        {"start", {}},
        {"replay", {absl::StrCat(backend_->NowMs() + 1000)}},
        {"retract", {label}},
        {"archive", {dice_.Percent(50) ? "dead" : "ended", Now(), "100000"}}};
    // Half of the calls are the first five, without which little else has anything to act on.
    const int all = static_cast<int>(verbs.size());
    const auto& [verb, rest] = verbs[static_cast<size_t>(dice_.Below(dice_.Percent(50) ? 5 : all))];
    Call call{"fl_task_" + verb, TaskKeys(task), {Now(), "1-a", task, kProject}};
    call.arguments.insert(call.arguments.end(), rest.begin(), rest.end());
    return call;
  }
  Call SubmitCall() {
    const std::string request = absl::StrCat("r", serial_++);
    Call call{"fl_task_submit", SlotKeys("s0"), {Now(), "1-a", kProject, request, "hash"}};
    for (const std::string& key :
         {redis::ProjectKey("s0", kProject), redis::ReadyKey("s0", kProject),
          redis::RequestKey("s0", kProject, request), redis::LiveKey("s0"),
          redis::ExpiriesKey("s0"), redis::DelayedKey("s0")}) {
      call.keys.push_back(key);
    }
    for (int i = 0; i <= dice_.Below(3) && next_ < kTasks; ++i) {
      const v1::TaskRecord task = MakeTask(absl::StrCat("t", next_++), backend_->NowMs());
      const std::string start = dice_.Percent(30) ? absl::StrCat(backend_->NowMs() + 1000) : "0";
      call.keys.push_back(redis::TaskKey("s0", task.task()));
      for (const std::string& argument :
           {task.task(), task.SerializeAsString(), Now(), absl::StrCat(task.expire_ms()),
            std::string("2"), start}) {
        call.arguments.push_back(argument);
      }
    }
    return call;
  }
  Call OtherCall() {
    const std::vector<std::string> home = SlotKeys("h0");
    auto with = [](std::vector<std::string> keys, const std::vector<std::string>& more) {
      keys.insert(keys.end(), more.begin(), more.end());
      return keys;
    };
    const std::string contractor = redis::ContractorKey("h0", "ann");
    const std::vector<Call> calls = {
        {"fl_home_contractor_put",
         with(home, {redis::ContractorsKey("h0"), contractor}),
         {Now(), "1-a", "ann", "\x0a\x01x"}},
        {"fl_home_presence",
         with(home, {redis::PresenceKey("h0"), redis::CreditKey("h0")}),
         {Now(), "1-a", "ann", "2", "1000"}},
        {"fl_home_fold",
         with(home, {redis::FoldCursorKey("h0"), contractor}),
         {Now(), "1-a", "s0", "0", "1", "20000", "1"}},
        {"fl_registry_put",
         with(SlotKeys("sys"), {redis::TokensKey()}),
         {Now(), "1-a", "token", "abc", "0", "\x0a\x01x"}},
        {"fl_registry_lead", {redis::LeaderKey()}, {Now(), "one", "token", "1000"}}};
    return calls[static_cast<size_t>(dice_.Below(static_cast<int>(calls.size())))];
  }

  // Makes a call wrong in one to three places. Names stay those of the keys: who builds a call
  // builds both from one (RedisTaskStore), and records stay readable: the function keeps them as
  // they are.
  void Spoil(Call& call) {
    static const std::string kNasty[] = {"",
                                         "-",
                                         "-1",
                                         "1e3",
                                         "nan",
                                         "inf",
                                         "0x10",
                                         " 5",
                                         "5 ",
                                         "99999999999999999999",
                                         std::string("\0|\n\xff", 4),
                                         "|",
                                         "a|b|c|d|e|f|g",
                                         std::string(20'000, '9')};
    Arguments& arguments = call.arguments;
    if (dice_.Percent(25)) {
      const auto at = dice_.Below(static_cast<int>(arguments.size()));
      if (dice_.Percent(50)) {
        arguments.erase(arguments.begin() + at);
      } else {
        arguments.insert(arguments.begin() + at, "extra");
      }
      return;
    }
    if (dice_.Percent(10)) call.keys.pop_back();
    if (dice_.Percent(10)) call.keys.push_back("fl:{s0}:extra");
    for (int i = 0; i <= dice_.Below(3); ++i) {
      const size_t at = static_cast<size_t>(dice_.Below(static_cast<int>(arguments.size())));
      const bool record = arguments[at].find('\x0a') != std::string::npos;
      if (!record && !IsName(call, at)) arguments[at] = kNasty[dice_.Below(14)];
    }
  }
  static bool IsName(const Call& call, size_t at) {
    if (call.function == "fl_task_submit") return at == 2 || (at >= 5 && (at - 5) % 6 == 0);
    return (at == 2 || at == 3) && call.function.rfind("fl_task_", 0) == 0;
  }

  sim::Dice dice_{20261124};
  RedisBackend* backend_ = nullptr;
  int serial_ = 0, next_ = 0;
};

TEST_F(FunctionFuzzTest, WrongArgumentsChangeNothingByHalves) {
  std::map<std::string, int> done, refused;
  std::string history;  // Since the last check.
  for (int i = 0; i < kCalls; ++i) {
    const int roll = dice_.Below(20);
    Call call = roll < 1 && next_ < kTasks ? SubmitCall() : roll < 3 ? OtherCall() : TaskCall();
    const bool spoilt = dice_.Percent(50);
    if (spoilt) Spoil(call);
    history = absl::StrCat(i % 8 == 0 ? "" : history, call.Text(), "\n");
    const auto reply =
        redis::CallFunction(backend_->pool(), call.function, call.keys, call.arguments);
    // An error is the answer of a shape that is wrong, never one from within Redis' own commands.
    if (!reply.ok()) {
      ASSERT_TRUE(spoilt) << call.Text() << " " << reply.status();
      ASSERT_NE(std::string(reply.status().message()).find("ARGUMENT"), std::string::npos)
          << call.Text() << " " << reply.status();
      ++refused[call.function];
    } else if (reply->elements.at(0).text == "OK") {
      ++done[call.function];
    }
    if (dice_.Percent(2)) backend_->clock().Advance(absl::Seconds(dice_.Below(4000)));
    if (i % 8 == 7) {
      ASSERT_OK(CheckShard(backend_->pool(), "s0")) << history;
    }
  }
  // Every function was reached both ways: else the test has grown blind.
  auto names = [](const std::map<std::string, int>& counts) {
    return absl::StrJoin(counts, " ", absl::PairFormatter("="));
  };
  EXPECT_EQ(done.size(), 19) << names(done);
  EXPECT_EQ(refused.size(), 19) << names(refused);
}

}  // namespace
}  // namespace fairlead::store
