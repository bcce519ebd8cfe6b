#include "tests/queue/lane_fixture.h"

#include <utility>

#include <gtest/gtest.h>
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "common/queue/job_codec.h"
#include "common/redis/keys.h"

namespace fairlead::queue {

std::unique_ptr<RedisLane> RedisLane::On(std::shared_ptr<testing::RedisServer> server) {
  auto lane = std::make_unique<RedisLane>();
  lane->server_ = std::move(server);
  lane->pool_ = std::make_unique<redis::ConnectionPool>(lane->server_->client_options());
  EXPECT_TRUE(lane->Clear().ok());
  return lane;
}

std::unique_ptr<RedisLane> RedisLane::Create(testing::RedisServerOptions options) {
  auto server = testing::RedisServer::Start(std::move(options));
  EXPECT_TRUE(server.ok()) << server.status();
  return server.ok() ? On(std::move(server).value()) : nullptr;
}

std::unique_ptr<RedisLane> RedisLane::CreateInCluster() {
  static std::shared_ptr<testing::RedisServer> shared;
  if (shared == nullptr) {
    testing::RedisServerOptions options;
    options.cluster = true;
    auto server = testing::RedisServer::Start(std::move(options));
    EXPECT_TRUE(server.ok()) << server.status();
    if (!server.ok()) return nullptr;
    shared = std::move(server).value();
  }
  return On(shared);
}

absl::Status RedisLane::Clear() {
  RETURN_IF_ERROR(pool_->Call({"FLUSHALL"}).status());
  RETURN_IF_ERROR(pool_->Call({"SET", redis::IncarnationKey("m0"), "1-a"}).status());
  queue_ = std::make_unique<RedisJobQueue>(pool_.get(), "m0", &clock_);
  clock_.Advance(Start() - clock_.Now());
  seen_ = 0;
  return absl::OkStatus();
}

std::vector<store::v1::JobFinished> RedisLane::EventsBehind(int64_t seq) {
  std::vector<store::v1::JobFinished> all;
  const absl::StatusOr<redis::Reply> events =
      pool_->Call({"XRANGE", redis::EventsKey("m0"), absl::StrCat("(", seq), "+"});
  EXPECT_TRUE(events.ok()) << events.status();
  if (!events.ok()) return all;
  for (const redis::Reply& event : events->elements) {
    EXPECT_EQ(event.elements[0].text, absl::StrCat(++seq, "-0"));
    const std::vector<redis::Reply>& list = event.elements[1].elements;
    EXPECT_EQ(list.at(1).text, "ended");
    EXPECT_EQ(list.at(4).text, "classes");
    std::vector<absl::string_view> texts;
    for (size_t i = 6; i < list.size(); ++i) texts.push_back(list[i].text);
    const auto ended = DecodeEnded(list.at(1).text, list.at(5).text, texts);
    EXPECT_TRUE(ended.ok()) << ended.status();
    if (ended.ok()) all.insert(all.end(), ended->begin(), ended->end());
  }
  seen_ = seq;
  return all;
}

std::vector<store::v1::JobFinished> RedisLane::Finished() { return EventsBehind(0); }
std::vector<store::v1::JobFinished> RedisLane::NewlyFinished() { return EventsBehind(seen_); }

}  // namespace fairlead::queue
