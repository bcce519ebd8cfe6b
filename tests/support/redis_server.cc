#include "tests/support/redis_server.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "common/base/status.h"

namespace fairlead::testing {
namespace {

constexpr absl::Duration kStartTimeout = absl::Seconds(10);
constexpr absl::Duration kPollPeriod = absl::Milliseconds(5);
constexpr int kNoSuchProgram = 127;

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

// A port that was free a moment ago; the cluster bus needs a number, not 0.
int FreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  int port = 0;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), size) == 0 &&
      getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) == 0) {
    port = ntohs(address.sin_port);
  }
  close(fd);
  return port;
}

std::vector<std::string> CommandLine(const RedisServerOptions& options, const std::string& dir) {
  std::vector<std::string> line = {"redis-server",
                                   "--unixsocket",
                                   absl::StrCat(dir, "/redis.sock"),
                                   "--dir",
                                   dir,
                                   "--save",
                                   "",
                                   "--appendonly",
                                   options.append_only ? "yes" : "no",
                                   "--appendfsync",
                                   "everysec"};
  if (options.max_memory > 0) {
    line.insert(line.end(), {"--maxmemory", absl::StrCat(options.max_memory)});
  }
  if (options.cluster) {
    line.insert(line.end(), {"--cluster-enabled", "yes", "--bind", "127.0.0.1", "--port",
                             absl::StrCat(FreePort()), "--cluster-port", absl::StrCat(FreePort())});
  } else {
    line.insert(line.end(), {"--port", "0"});
  }
  line.insert(line.end(), options.arguments.begin(), options.arguments.end());
  return line;
}

}  // namespace

RedisServer::RedisServer(RedisServerOptions options, std::string directory)
    : options_(std::move(options)), directory_(std::move(directory)) {}

absl::StatusOr<std::unique_ptr<RedisServer>> RedisServer::Start(RedisServerOptions options) {
  std::string path = (std::filesystem::temp_directory_path() / "fairlead-redis-XXXXXX").string();
  if (mkdtemp(path.data()) == nullptr) {
    return absl::InternalError(absl::StrCat("cannot make a directory like ", path));
  }
  std::unique_ptr<RedisServer> server(new RedisServer(std::move(options), path));
  RETURN_IF_ERROR(server->Launch());
  return server;
}

RedisServer::~RedisServer() {
  Kill();
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void RedisServer::Kill() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  while (waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
  }
  pid_ = -1;
}

absl::Status RedisServer::Restart(bool keep_files) {
  Kill();
  if (!keep_files) {
    for (const auto& entry : std::filesystem::directory_iterator(directory_)) {
      std::filesystem::remove_all(entry.path());
    }
  }
  return Launch();
}

redis::RedisOptions RedisServer::client_options() const {
  redis::RedisOptions client;
  client.address = address();
  return client;
}

absl::Status RedisServer::Launch() {
  const std::vector<std::string> line = CommandLine(options_, directory_);
  std::vector<char*> argv;
  for (const std::string& argument : line) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::string log = absl::StrCat(directory_, "/log");
  unlink(socket_path().c_str());
  pid_ = fork();
  if (pid_ < 0) return absl::InternalError("cannot fork");
  if (pid_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execvp(argv[0], argv.data());
    _exit(kNoSuchProgram);
  }
  RETURN_IF_ERROR(AwaitReady());
  return options_.cluster ? FormCluster() : absl::OkStatus();
}

absl::Status RedisServer::AwaitReady() {
  redis::Connection connection(client_options());
  const absl::Time deadline = absl::Now() + kStartTimeout;
  while (absl::Now() < deadline) {
    if (connection.Call({"PING"}).ok()) return absl::OkStatus();
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      pid_ = -1;
      if (WIFEXITED(status) && WEXITSTATUS(status) == kNoSuchProgram) {
        return absl::NotFoundError("no redis-server on PATH");
      }
      break;
    }
    absl::SleepFor(kPollPeriod);
  }
  return absl::UnavailableError(
      absl::StrCat("redis-server did not come up: ", ReadText(absl::StrCat(directory_, "/log"))));
}

absl::Status RedisServer::FormCluster() {
  redis::Connection connection(client_options());
  // Refused when the slots are ours already (a restart with files): the state below tells.
  connection.Call({"CLUSTER", "ADDSLOTSRANGE", "0", "16383"}).IgnoreError();
  const absl::Time deadline = absl::Now() + kStartTimeout;
  while (absl::Now() < deadline) {
    const absl::StatusOr<redis::Reply> state = connection.Call({"CLUSTER", "INFO"});
    if (state.ok() && state->text.find("cluster_state:ok") != std::string::npos) {
      return absl::OkStatus();
    }
    absl::SleepFor(kPollPeriod);
  }
  return absl::UnavailableError("the cluster of one did not form");
}

}  // namespace fairlead::testing
