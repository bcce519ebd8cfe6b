// Balances in a real Redis, folded from accepted work: once, also by a Redis that lost its last
// write.
#include "scheduler/collect/pay_folder.h"

#include <memory>
#include <string>

#include "common/redis/keys.h"
#include "gtest/gtest.h"
#include "tests/store/task_backend.h"
#include "tests/support/status_matchers.h"

namespace fairlead::collect {
namespace {

class PayFolderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    backend_ = static_cast<store::RedisBackend*>(store::SharedBackend("Redis"));
    ASSERT_NE(backend_, nullptr);
    homes_ = std::make_unique<store::HomeStore>(&backend_->caller(), store::Topology());
    folder_ = std::make_unique<PayFolder>(homes_.get(), store::Topology());
  }
  void Answered(uint64_t seq) {
    store::v1::Event event;
    event.set_slot("s0");
    event.set_seq(seq);
    event.mutable_annotated()->mutable_pay()->set_contractor("ann");
    event.mutable_annotated()->mutable_pay()->set_micros(20'000);
    folder_->Apply(event, 0);
  }
  int64_t Balance() { return homes_->Balance("ann")->micros; }

  store::RedisBackend* backend_ = nullptr;
  std::unique_ptr<store::HomeStore> homes_;
  std::unique_ptr<PayFolder> folder_;
};

TEST_F(PayFolderTest, FoldsAgainWhatRedisLost) {
  Answered(3);
  EXPECT_EQ(*folder_->RunOnce(), 1);
  redis::ConnectionPool& pool = backend_->pool();
  const std::string ann = redis::ContractorKey("h0", "ann");
  const auto before = pool.Call({"DUMP", ann});
  ASSERT_OK(before);
  Answered(5);
  Answered(8);
  EXPECT_EQ(*folder_->RunOnce(), 2);
  EXPECT_EQ(Balance(), 60'000);
  ASSERT_OK(pool.Call({"RESTORE", ann, "0", before->AsText(), "REPLACE"}));
  ASSERT_OK(pool.Call({"HSET", redis::FoldCursorKey("h0"), "s0", "3"}));
  EXPECT_EQ(Balance(), 20'000);
  EXPECT_TRUE(absl::IsUnavailable(folder_->RunOnce().status())) << "says so";
  EXPECT_EQ(*folder_->RunOnce(), 2);
  EXPECT_EQ(Balance(), 60'000);
  EXPECT_EQ(*folder_->RunOnce(), 0);
  EXPECT_EQ(Balance(), 60'000) << "once";
}

}  // namespace
}  // namespace fairlead::collect
