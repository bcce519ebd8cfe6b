#include "common/base/metrics.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"

namespace fairlead {
namespace {

using testing::HasSubstr;

// The whole answer of 127.0.0.1:port to one GET.
std::string Get(int port, const std::string& path) {
  const int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0) {
    const std::string request =
        absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(::send(fd, request.data(), request.size(), 0), static_cast<ssize_t>(request.size()));
    char buffer[4096];
    for (ssize_t got; (got = ::recv(fd, buffer, sizeof(buffer), 0)) > 0;)
      answer.append(buffer, got);
  }
  ::close(fd);
  return answer;
}

TEST(MetricsTest, CountsPerLabels) {
  CounterOf("fairlead_test_requests_total", "Requests.", {{"method", "get"}}).Increment();
  CounterOf("fairlead_test_requests_total", "Requests.", {{"method", "get"}}).Increment(2);
  CounterOf("fairlead_test_requests_total", "Requests.", {{"method", "put"}}).Increment();
  Counter get = CounterOf("fairlead_test_requests_total", "Requests.", {{"method", "get"}});
  get.Increment(-5);
  EXPECT_EQ(get.Value(), 3);
  EXPECT_THAT(MetricsText(), HasSubstr("fairlead_test_requests_total{method=\"get\"} 3\n"));
  EXPECT_THAT(MetricsText(), HasSubstr("fairlead_test_requests_total{method=\"put\"} 1\n"));
}

TEST(MetricsTest, LosesNoIncrementOfManyThreads) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([] {
      for (int i = 0; i < 1000; ++i) CounterOf("fairlead_test_threads_total", "").Increment();
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(CounterOf("fairlead_test_threads_total", "").Value(), 8000);
}

TEST(MetricsTest, SetsGaugesAndFillsBuckets) {
  Gauge depth = GaugeOf("fairlead_test_depth", "Depth.");
  depth.Set(5);
  depth.Add(-2);
  EXPECT_EQ(depth.Value(), 3);
  Histogram seconds = HistogramOf("fairlead_test_seconds", "Seconds.", {0.1, 1});
  seconds.Observe(0.05);
  seconds.Observe(0.5);
  seconds.Observe(5);
  EXPECT_THAT(MetricsText(), HasSubstr("fairlead_test_seconds_bucket{le=\"1\"} 2\n"));
  EXPECT_THAT(MetricsText(), HasSubstr("fairlead_test_seconds_count 3\n"));
}

TEST(MetricsTest, ServesTheTextOverHttp) {
  GaugeOf("fairlead_test_served", "Served.").Set(42);
  const auto server = StartMetricsServer("127.0.0.1:0");
  ASSERT_TRUE(server.ok()) << server.status();
  const std::string answer = Get((*server)->port(), "/metrics");
  EXPECT_THAT(answer, HasSubstr("200 OK"));
  EXPECT_THAT(answer, HasSubstr("fairlead_test_served 42\n"));
}

TEST(MetricsTest, SaysWhichAddressItCannotServe) {
  const auto first = StartMetricsServer("127.0.0.1:0");
  ASSERT_TRUE(first.ok()) << first.status();
  const std::string taken = absl::StrCat("127.0.0.1:", (*first)->port());
  const absl::Status status = StartMetricsServer(taken).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable);
  EXPECT_THAT(std::string(status.message()), HasSubstr(taken));
  for (const char* address : {"", "localhost", ":9464", "localhost:port", "localhost:70000"}) {
    EXPECT_EQ(StartMetricsServer(address).status().code(), absl::StatusCode::kInvalidArgument)
        << address;
  }
}

TEST(MetricsDeathTest, EndsOnANameThatIsNotOurs) {
  EXPECT_DEATH(CounterOf("tasks_total", ""), "metric name");
  GaugeOf("fairlead_test_typed", "");
  EXPECT_DEATH(CounterOf("fairlead_test_typed", ""), "fairlead_test_typed");
}

}  // namespace
}  // namespace fairlead
