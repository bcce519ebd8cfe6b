#include "common/redis/call_combiner.h"

#include <atomic>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>
#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead::redis {
namespace {

Reply TextReply(std::string text, Reply::Type type = Reply::Type::kString) {
  Reply reply;
  reply.type = type;
  reply.text = std::move(text);
  return reply;
}

TEST(CallCombinerTest, EveryThreadGetsItsOwnReplyAndServersAreNotMixed) {
  constexpr int kThreads = 24, kCalls = 200;
  std::atomic<int> under_way{0}, most{0}, mixed{0};
  CallCombiner combiner([&](const std::vector<const Arguments*>& commands,
                            absl::string_view server) -> absl::StatusOr<std::vector<Reply>> {
    const int now = ++under_way;
    for (int seen = most; seen < now && !most.compare_exchange_weak(seen, now);) {
    }
    std::vector<Reply> replies;
    for (const Arguments* command : commands) {
      if ((*command)[0] != server) ++mixed;
      replies.push_back(TextReply((*command)[1]));
    }
    std::this_thread::yield();
    --under_way;
    return replies;
  });
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      const std::string server = t % 3 == 0 ? "old" : "new";
      for (int i = 0; i < kCalls; ++i) {
        const std::string text = absl::StrCat(t, " ", i);
        const absl::StatusOr<Reply> reply = combiner.Call({server, text}, server);
        if (!reply.ok() || reply->text != text) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(mixed, 0);
  EXPECT_LE(most, 2);
}

TEST(CallCombinerTest, AnErrorIsOfItsOwnCommandAndAFailureOfAll) {
  bool away = false;
  CallCombiner combiner([&](const std::vector<const Arguments*>& commands,
                            absl::string_view) -> absl::StatusOr<std::vector<Reply>> {
    if (away) return Error(absl::StatusCode::kUnavailable, "STORE_UNAVAILABLE", "away");
    std::vector<Reply> replies;
    for (const Arguments* command : commands) {
      replies.push_back((*command)[0] == "BAD" ? TextReply("OOM no room", Reply::Type::kError)
                                               : TextReply("fine"));
    }
    return replies;
  });
  EXPECT_EQ(ReasonOf(combiner.Call({"BAD"}, "").status()), "STORE_FULL");
  EXPECT_EQ(combiner.Call({"GOOD"}, "")->text, "fine");
  EXPECT_TRUE(absl::IsInvalidArgument(combiner.Call({}, "").status()));
  away = true;
  EXPECT_EQ(ReasonOf(combiner.Call({"GOOD"}, "").status()), "STORE_UNAVAILABLE");
}

TEST(CallCombinerTest, ACallFromWithinGoesByItself) {
  CallCombiner* self = nullptr;
  std::vector<std::string> sent;
  CallCombiner combiner([&](const std::vector<const Arguments*>& commands,
                            absl::string_view) -> absl::StatusOr<std::vector<Reply>> {
    sent.push_back((*commands[0])[0]);
    if (sent.size() == 1) EXPECT_EQ(self->Call({"inner"}, "")->text, "inner");
    return std::vector<Reply>{TextReply((*commands[0])[0])};
  });
  self = &combiner;
  EXPECT_EQ(combiner.Call({"outer"}, "")->text, "outer");
  EXPECT_EQ(sent, (std::vector<std::string>{"outer", "inner"}));
}

}  // namespace
}  // namespace fairlead::redis
