// Homes and registry on a cluster node, with functions that may touch declared keys only; and that
// the check of declared keys finds one that is not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/redis/functions.h"
#include "common/redis/keys.h"
#include "scheduler/store/home_store.h"
#include "scheduler/store/registry_store.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"
#include "tests/support/strict_functions.h"

namespace fairlead::store {
namespace {

using ::testing::HasSubstr;

class SlotFunctionsTest : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_ = static_cast<RedisBackend*>(SharedBackend("Cluster"));
    ASSERT_NE(backend_, nullptr);
  }
  RedisBackend* backend_ = nullptr;
};

TEST_F(SlotFunctionsTest, PayIsFoldedOnceByItsCursor) {
  HomeStore homes(&backend_->caller(), Topology());
  v1::ContractorRecord ann;
  ann.set_contractor("ann");
  ASSERT_OK(homes.PutContractor(ann));
  ASSERT_OK(homes.SetPresence("ann", 3, absl::Minutes(1)));
  ASSERT_OK(homes.SetPresence("ann", 0, absl::Minutes(1)));
  const std::map<std::string, PayDelta> pay = {{"ann", {20'000, 1}}, {"bob", {40'000, 2}}};
  EXPECT_TRUE(*homes.Fold("h0", "s0", 0, 7, pay));
  EXPECT_FALSE(*homes.Fold("h0", "s0", 0, 7, pay)) << "folded before";
  EXPECT_TRUE(*homes.Fold("h0", "s1", 0, 7, pay)) << "another shard's";
  EXPECT_EQ(*homes.FoldCursor("h0", "s0"), 7);
  EXPECT_EQ(homes.Balance("bob")->micros, 80'000);
  EXPECT_EQ(homes.Balance("bob")->annotations, 4);
}

TEST_F(SlotFunctionsTest, PresenceOfManyIsSetInFewRoundTrips) {
  HomeStore homes(&backend_->caller(), Topology());
  std::map<std::string, int32_t> credits;
  for (int i = 0; i < 600; ++i) credits[absl::StrCat("person", i)] = 1 + i % 8;
  ASSERT_OK(homes.SetPresence(credits, absl::Minutes(1)));
  const auto stored = backend_->pool().Call({"HGETALL", redis::CreditKey("h0")});
  ASSERT_OK(stored) << stored.status();
  std::map<std::string, int32_t> there;
  for (size_t i = 0; i + 1 < stored->elements.size(); i += 2) {
    there[stored->elements[i].text] = static_cast<int32_t>(stored->elements[i + 1].AsInt());
  }
  for (const auto& [contractor, credit] : credits) EXPECT_EQ(there[contractor], credit);
}

// Work that its task's end withdrew may be finished in its window: so long its deadline stands.
TEST_F(SlotFunctionsTest, UnfinishedWorkHasADeadlineUntilItCannotBePaidAnyMore) {
  TaskStore& tasks = backend_->store();
  const auto deadlines = [&] {
    const auto members = backend_->pool().Call({"ZRANGE", redis::DeadlinesKey("s0"), "0", "-1"});
    EXPECT_OK(members) << members.status();
    std::vector<std::string> found;
    for (const redis::Reply& member : members->elements) found.push_back(member.text);
    return found;
  };
  const auto due = [&](const std::string& task) {
    return tasks.Release({kProject, task}, "ann", "", v1::Placement::LAPSED, "").status();
  };
  ASSERT_OK(tasks.PutProject(MakeProject(), 0));
  for (const char* task : {"finished", "given-up", "too-late"}) {
    ASSERT_OK(tasks.Submit(kProject, task, "h", {MakeTask(task, backend_->NowMs(), 1)}));
    const absl::Duration window = absl::Minutes(task == std::string("too-late") ? 1 : 10);
    ASSERT_TRUE(
        (*tasks.Offer("s0", {{{kProject, task}, "ann", "as", "t", absl::Seconds(60), window}}))[0]);
    ASSERT_OK(tasks.Accept({kProject, task}, "ann", "t"));
  }
  backend_->clock().Advance(absl::Minutes(2));
  for (const char* task : {"finished", "given-up", "too-late"}) {
    ASSERT_OK(tasks.End({kProject, task}, fairlead::v1::Task::CANCELLED, "why"));
    ASSERT_OK(due(task));
  }
  EXPECT_EQ(deadlines(), (std::vector<std::string>{"finished|ann", "given-up|ann"}));
  ASSERT_OK(
      tasks.Annotate({kProject, "finished"}, "ann", "t", MakeAnnotation("finished", "ann", "t")));
  EXPECT_EQ(deadlines(), (std::vector<std::string>{"given-up|ann"}));
  backend_->clock().Advance(absl::Minutes(10));
  ASSERT_OK(due("given-up"));
  EXPECT_TRUE(deadlines().empty());
}

TEST_F(SlotFunctionsTest, LeadershipIsHeldByOneTokenAtATime) {
  redis::ConnectionPool& pool = backend_->pool();
  EXPECT_TRUE(*Lead(pool, "one", "token-1", absl::Seconds(5)));
  EXPECT_FALSE(*Lead(pool, "one", "token-2", absl::Seconds(5))) << "same name, another process";
  EXPECT_TRUE(*Lead(pool, "one", "token-1", absl::Seconds(5)));
  EXPECT_TRUE(*Lead(pool, "one", "token-1", absl::ZeroDuration()));
  EXPECT_TRUE(*Lead(pool, "two", "token-2", absl::Seconds(5)));
}

TEST_F(SlotFunctionsTest, ARecordIsReplacedByItsRevisionOnly) {
  RegistryStore registry(&backend_->caller());
  v1::TenantRecord tenant;
  tenant.set_tenant("acme");
  ASSERT_OK(registry.PutTenant(tenant));
  EXPECT_EQ(*registry.PutTenant(tenant), 0) << "is there already";
  v1::TokenRecord token;
  token.set_sha256("abc");
  ASSERT_OK(registry.PutToken(token, 0));
  EXPECT_EQ(ReasonOf(registry.PutToken(token, 0).status()), "REVISION_CHANGED");
  ASSERT_OK(registry.PutToken(token, 1));
}

TEST_F(SlotFunctionsTest, ASlotIsOpenedFromTheIncarnationThatWasSeen) {
  const std::string key = redis::IncarnationKey("s0");
  auto open = [&](const std::string& seen, const std::string& next) {
    auto reply =
        redis::CallFunction(backend_->pool(), "fl_registry_open", {key}, {"0", seen, next});
    EXPECT_OK(reply);
    return reply.ok() ? reply->elements.at(0).AsText() : "";
  };
  EXPECT_EQ(open("0-z", "2-b"), "INCARNATION");
  EXPECT_EQ(open("1-a", "2-b"), "OK");
  EXPECT_EQ(open("1-a", "3-c"), "INCARNATION");
  // Whoever still calls under the old one is refused, and looks again before it calls anything.
  const auto put = backend_->store().PutProject(MakeProject(), 0);
  EXPECT_EQ(ReasonOf(put.status()), "STORE_RECOVERING") << put.status();
  EXPECT_FALSE(backend_->gate().open());
}

TEST_F(SlotFunctionsTest, KeysOfTwoSlotsAndUndeclaredKeysAreRefused) {
  // The functions' own keys pass (every other test here); a key too few or of another slot does
  // not.
  const auto crossing = redis::CallFunction(
      backend_->pool(), "fl_home_contractor_put",
      {redis::IncarnationKey("h0"), redis::SequenceKey("h0"), redis::EventsKey("h0"),
       redis::ContractorsKey("h0"), redis::ContractorKey("h1", "ann")},
      {"0", "1-a", "ann", "record"});
  EXPECT_THAT(std::string(crossing.status().message()), HasSubstr("CROSSSLOT"));
  const std::string touches =
      "#!lua name=touches\nlocal function f(keys, argv) return redis.call('GET', argv[1]) end\n"
      "redis.register_function('touches', f)\n";
  ASSERT_OK(backend_->pool().Call({"FUNCTION", "LOAD", touches}));
  const std::string strict = testing::StrictSource(touches);
  ASSERT_OK(backend_->pool().Call({"FUNCTION", "LOAD", "REPLACE", strict}));
  const auto undeclared =
      backend_->pool().Call({"FCALL", "touches", "1", "fl:{h0}:a", "fl:{h0}:b"});
  EXPECT_THAT(std::string(undeclared.status().message()), HasSubstr("undeclared key"));
  EXPECT_OK(backend_->pool().Call({"FCALL", "touches", "1", "fl:{h0}:a", "fl:{h0}:a"}));
}

}  // namespace
}  // namespace fairlead::store
