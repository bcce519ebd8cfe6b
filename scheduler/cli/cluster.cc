#include "scheduler/cli/cluster.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "google/protobuf/util/time_util.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/file.h"

namespace fairlead::cli {
namespace {

constexpr absl::Duration kPollInterval = absl::Milliseconds(50);
constexpr absl::Duration kTokenLifetime = absl::Hours(24 * 365);
constexpr char kRedisSocket[] = "run/redis.sock";
constexpr char kSchedulerSocket[] = "run/scheduler.sock";
constexpr char kWorkerPassword[] = "redis-worker.password";
constexpr char kOperatorToken[] = "operator.token";
constexpr char kWorkerToken[] = "worker.token";

// A quarter of the machine, 256 MiB–4 GiB: leaves room for training and for Redis's own copies.
int64_t RedisMemoryBytes() {
  struct sysinfo info = {};
  sysinfo(&info);
  const int64_t total = static_cast<int64_t>(info.totalram) * info.mem_unit;
  return std::clamp<int64_t>(total / 4, 256ll << 20, 4ll << 30);
}

// The secret in a file of mode 0600, made at random when it is not there.
absl::StatusOr<std::string> SecretFile(const std::string& path) {
  absl::StatusOr<std::string> present = ReadFile(path, 1 << 16);
  if (present.ok()) return std::string(absl::StripAsciiWhitespace(*present));
  if (!absl::IsNotFound(present.status())) return present.status();
  const std::string secret = RandomHex(32);
  RETURN_IF_ERROR(WriteFile(path, secret, 0600));
  return secret;
}

absl::StatusOr<std::string> CreateToken(const Client& client, const v1::CreateTokenRequest& body) {
  v1::CreateTokenRequest request = body;
  *request.mutable_lifetime() =
      google::protobuf::util::TimeUtil::SecondsToDuration(absl::ToInt64Seconds(kTokenLifetime));
  ASSIGN_OR_RETURN(const v1::CreateTokenResponse response,
                   client.Call(client.admin(), &v1::AdminService::Stub::CreateToken, request));
  return response.secret();
}

}  // namespace

std::string WorkerName(int index) { return absl::StrCat("worker-", index); }

absl::StatusOr<std::string> FindInPath(const std::string& name) {
  const char* path = std::getenv("PATH");
  for (absl::string_view directory : absl::StrSplit(path == nullptr ? "" : path, ':')) {
    const std::string candidate = absl::StrCat(directory, "/", name);
    if (access(candidate.c_str(), X_OK) == 0) return candidate;
  }
  return absl::NotFoundError(absl::StrCat(name, " is not in $PATH"));
}

std::string RedisConfig(const ClusterOptions& options, const std::string& password) {
  const std::string dir = options.data_dir;
  // The worker's user may call functions and read and write keys of the machine lane, nothing else:
  // Redis checks the commands inside a function against its caller. No admin, no keyspace, no
  // pub/sub.
  return absl::StrCat(
      "# Written by `fairlead up`; changes are overwritten.\n"
      "port 0\n"
      "unixsocket ",
      dir, "/", kRedisSocket,
      "\n"
      "unixsocketperm 700\n"
      "dir ",
      dir,
      "/redis\n"
      "daemonize no\n"
      "appendonly ",
      options.dev ? "no" : "yes",
      "\n"
      "appendfsync everysec\n"
      "auto-aof-rewrite-min-size 512mb\n"
      "save \"\"\n"
      "maxmemory ",
      RedisMemoryBytes(),
      "\n"
      "maxmemory-policy noeviction\n"
      "user default on nopass ~* &* +@all\n"
      "user worker on >",
      password,
      " resetkeys ~fl:{m* resetchannels -@all"
      " +fcall +blpop +get +ping +auth +info +time +@hash +@sortedset +@list +@string +@set "
      "+@stream"
      " +del +unlink +exists +expire +pexpire +pexpireat +persist +type\n");
}

std::string AskRedis(const std::string& socket_path, absl::string_view commands) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return "";
  const timeval timeout = {.tv_sec = 1, .tv_usec = 0};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  std::string reply;
  if (socket_path.size() < sizeof(address.sun_path)) {
    std::copy(socket_path.begin(), socket_path.end(), address.sun_path);
    if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 &&
        send(fd, commands.data(), commands.size(), MSG_NOSIGNAL) ==
            static_cast<ssize_t>(commands.size())) {
      // Redis closes once it has answered all and sees the end of what we send.
      shutdown(fd, SHUT_WR);
      char buffer[1024];
      ssize_t got = 0;
      while ((got = recv(fd, buffer, sizeof(buffer), 0)) > 0) {
        reply.append(buffer, static_cast<size_t>(got));
      }
    }
  }
  close(fd);
  return reply;
}

absl::Status PingRedis(const std::string& socket_path) {
  const std::string reply = AskRedis(socket_path, "PING\r\n");
  if (absl::StartsWith(reply, "+PONG")) return absl::OkStatus();
  return absl::UnavailableError(absl::StrCat("redis-server does not answer on ", socket_path, " ",
                                             absl::StripAsciiWhitespace(reply)));
}

LocalCluster::LocalCluster(ClusterOptions options) : options_(std::move(options)) {}

LocalCluster::~LocalCluster() {
  Stop();
  if (lock_fd_ >= 0) close(lock_fd_);
}

std::string LocalCluster::Path(const std::string& relative) const {
  return absl::StrCat(options_.data_dir, "/", relative);
}

std::string LocalCluster::redis_socket() const { return Path(kRedisSocket); }

std::string LocalCluster::tcp_address() const {
  return options_.port == 0 ? "" : absl::StrCat("127.0.0.1:", options_.port);
}

absl::StatusOr<std::unique_ptr<LocalCluster>> LocalCluster::Create(ClusterOptions options) {
  options.data_dir = AbsolutePath(options.data_dir);
  if (absl::EndsWith(options.data_dir, "/")) options.data_dir.pop_back();
  if (options.workers < 0 || options.workers > 64) return FieldError("workers", "must be 0–64");
  if (options.port < 0 || options.port > 65535) return FieldError("port", "must be 0–65535");
  if (options.binary_dir.empty()) {
    ASSIGN_OR_RETURN(options.binary_dir, OwnBinaryDirectory());
  }
  if (options.redis_server.empty()) {
    absl::StatusOr<std::string> found = FindInPath("redis-server");
    if (!found.ok()) {
      return absl::FailedPreconditionError(
          "redis-server is not installed: install the package `redis-server` "
          "(Debian, Ubuntu: sudo apt-get install redis-server), or run ./dev setup");
    }
    options.redis_server = *std::move(found);
  }
  if (options.worker_threads == 0) {
    const int cores = std::max(1, static_cast<int>(std::thread::hardware_concurrency()));
    // One core is left to the scheduler and Redis: OpenMP threads that wait for a descheduled
    // sibling spin, and training on all cores of a busy machine was 20 times slower than on one.
    options.worker_threads = std::max(1, (cores - 1) / std::max(1, options.workers));
  }
  std::unique_ptr<LocalCluster> cluster(new LocalCluster(std::move(options)));
  RETURN_IF_ERROR(cluster->Prepare());
  return cluster;
}

absl::Status LocalCluster::Prepare() {
  // sockaddr_un holds 108 bytes with the final zero.
  if (Path(kSchedulerSocket).size() > 107) {
    return FieldError("data-dir", absl::StrCat("unix socket ", Path(kSchedulerSocket),
                                               " is longer than 107 bytes; choose a shorter path"));
  }
  for (const char* binary : {"fairlead-scheduler", "fairlead-worker"}) {
    if (options_.workers == 0 && absl::string_view(binary) == "fairlead-worker") continue;
    const std::string path = absl::StrCat(options_.binary_dir, "/", binary);
    if (access(path.c_str(), X_OK) != 0) {
      return absl::NotFoundError(absl::StrCat(path, " is missing: run ./dev build"));
    }
  }
  RETURN_IF_ERROR(MakeDirectory(options_.data_dir, 0700));
  for (const char* directory : {"run", "log", "redis", "scheduler"}) {
    RETURN_IF_ERROR(MakeDirectory(Path(directory), 0700));
  }
  address_ = absl::StrCat("unix:", Path(kSchedulerSocket));
  return LockDirectory();
}

absl::Status LocalCluster::LockDirectory() {
  lock_fd_ = open(Path("run/lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (lock_fd_ < 0 || flock(lock_fd_, LOCK_EX | LOCK_NB) != 0) {
    return absl::FailedPreconditionError(absl::StrCat("another `fairlead up` runs on ",
                                                      options_.data_dir,
                                                      ": stop it, or choose another --data-dir"));
  }
  return absl::OkStatus();
}

absl::Status LocalCluster::WriteSecrets() {
  ASSIGN_OR_RETURN(credentials_.operator_token, SecretFile(Path(kOperatorToken)));
  ASSIGN_OR_RETURN(const std::string password, SecretFile(Path(kWorkerPassword)));
  return WriteFile(Path("redis.conf"), RedisConfig(options_, password), 0600);
}

ChildSpec LocalCluster::Spec(const std::string& name) const {
  ChildSpec spec;
  spec.name = name;
  spec.log_file = Path(absl::StrCat("log/", name, ".log"));
  spec.pid_file = Path(absl::StrCat("run/", name, ".pid"));
  return spec;
}

void LocalCluster::AddRedis() {
  ChildSpec spec = Spec(kRedis);
  spec.argv = {options_.redis_server, Path("redis.conf")};
  supervisor_.Add(spec);
}

void LocalCluster::AddScheduler() {
  ChildSpec spec = Spec(kScheduler);
  spec.argv = {absl::StrCat(options_.binary_dir, "/fairlead-scheduler"),
               "--redis",
               absl::StrCat("unix:", redis_socket()),
               "--data",
               Path("scheduler"),
               "--bootstrap_operator_token_file",
               Path(kOperatorToken),
               "--listen",
               address_};
  if (options_.port != 0) {
    spec.argv.push_back("--listen");
    spec.argv.push_back(tcp_address());
  }
  if (options_.dev) spec.argv.push_back("--dev");
  spec.argv.insert(spec.argv.end(), options_.scheduler_arguments.begin(),
                   options_.scheduler_arguments.end());
  supervisor_.Add(spec);
}

void LocalCluster::AddWorker(int index) {
  ChildSpec spec = Spec(WorkerName(index));
  spec.argv = {absl::StrCat(options_.binary_dir, "/fairlead-worker"),
               "--redis",
               absl::StrCat("unix:", redis_socket()),
               "--redis_user",
               "worker",
               "--redis_password_file",
               Path(kWorkerPassword),
               "--scheduler",
               address_,
               "--token_file",
               Path(kWorkerToken),
               "--scratch",
               Path(WorkerName(index)),
               "--threads",
               absl::StrCat(options_.worker_threads)};
  // Training takes a worker for many seconds; the tasks that wait must not wait for it. Of several
  // workers the last one is kept for prelabels.
  if (options_.workers > 1 && index == options_.workers - 1) {
    spec.argv.insert(spec.argv.end(), {"--kinds", "prelabel-ocr,prelabel-reward", "--nice", "0"});
  }
  // A worker finishes its step, writes a checkpoint and hands the job back.
  spec.stop_timeout = absl::Seconds(30);
  supervisor_.Add(spec);
}

absl::Status LocalCluster::Start(absl::Duration timeout) {
  const absl::Time deadline = absl::Now() + timeout;
  RETURN_IF_ERROR(WriteSecrets());
  AddRedis();
  AddScheduler();
  for (int i = 0; i < options_.workers; ++i) AddWorker(i);
  RETURN_IF_ERROR(supervisor_.Start(kRedis));
  RETURN_IF_ERROR(WaitRedis(deadline));
  RETURN_IF_ERROR(supervisor_.Start(kScheduler));
  RETURN_IF_ERROR(WaitReady(deadline - absl::Now()));
  RETURN_IF_ERROR(Bootstrap(deadline));
  for (int i = 0; i < options_.workers; ++i) {
    RETURN_IF_ERROR(MakeDirectory(Path(WorkerName(i)), 0700));
    RETURN_IF_ERROR(supervisor_.Start(WorkerName(i)));
  }
  return WaitWorkers(options_.workers, deadline - absl::Now());
}

absl::Status LocalCluster::Bootstrap(absl::Time deadline) {
  const std::string path = Path("credentials.json");
  absl::StatusOr<Credentials> present = LoadCredentials(path);
  if (present.ok() && present->operator_token == credentials_.operator_token) {
    credentials_ = *std::move(present);
    // The directory may have been moved since.
    credentials_.address = address_;
    RETURN_IF_ERROR(WriteFile(Path(kWorkerToken), credentials_.worker_token, 0600));
    return SaveCredentials(path, credentials_);
  }
  credentials_.address = address_;
  credentials_.tenant = options_.tenant;
  const Client client(address_, credentials_.operator_token, options_.tenant);
  v1::CreateTenantRequest tenant;
  tenant.set_tenant_id(options_.tenant);
  RETURN_IF_ERROR(client
                      .Call(client.admin(), &v1::AdminService::Stub::CreateTenant, tenant,
                            deadline - absl::Now())
                      .status());
  v1::CreateTokenRequest token;
  token.set_role(v1::ROLE_CLIENT);
  token.set_tenant(client.tenant_name());
  ASSIGN_OR_RETURN(credentials_.client_token, CreateToken(client, token));
  token.Clear();
  token.set_role(v1::ROLE_WORKER);
  ASSIGN_OR_RETURN(credentials_.worker_token, CreateToken(client, token));
  RETURN_IF_ERROR(WriteFile(Path(kWorkerToken), credentials_.worker_token, 0600));
  return SaveCredentials(path, credentials_);
}

absl::Status LocalCluster::WaitRedis(absl::Time deadline) const {
  while (true) {
    absl::Status ping = PingRedis(redis_socket());
    if (ping.ok()) return ping;
    RETURN_IF_ERROR(supervisor_.CheckAlive(kRedis));
    if (absl::Now() > deadline) return ping;
    absl::SleepFor(kPollInterval);
  }
}

absl::Status LocalCluster::WaitReady(absl::Duration timeout) const {
  const absl::Time deadline = absl::Now() + timeout;
  RETURN_IF_ERROR(WaitRedis(deadline));
  const auto channel = OpenChannel(address_, /*own_connection=*/true);
  while (true) {
    absl::Status health = CheckHealth(channel, absl::Seconds(1));
    if (health.ok()) return health;
    RETURN_IF_ERROR(supervisor_.CheckAlive(kScheduler));
    if (absl::Now() > deadline) return Annotate(health, "scheduler is not ready");
    absl::SleepFor(kPollInterval);
  }
}

absl::Status LocalCluster::WaitWorkers(int count, absl::Duration timeout) const {
  if (count == 0) return absl::OkStatus();
  const absl::Time deadline = absl::Now() + timeout;
  const Client client(address_, credentials_.operator_token, credentials_.tenant);
  while (true) {
    absl::StatusOr<v1::GetQueuesResponse> queues =
        client.Call(client.admin(), &v1::AdminService::Stub::GetQueues, v1::GetQueuesRequest());
    if (queues.ok() && queues->workers_size() >= count) return absl::OkStatus();
    for (int i = 0; i < options_.workers; ++i) {
      RETURN_IF_ERROR(supervisor_.CheckAlive(WorkerName(i)));
    }
    if (absl::Now() > deadline) {
      return queues.ok() ? absl::UnavailableError(absl::StrCat("only ", queues->workers_size(),
                                                               " of ", count, " workers are up"))
                         : queues.status();
    }
    absl::SleepFor(kPollInterval);
  }
}

void LocalCluster::Stop() {
  for (int i = options_.workers - 1; i >= 0; --i) supervisor_.Stop(WorkerName(i)).IgnoreError();
  supervisor_.Stop(kScheduler).IgnoreError();
  supervisor_.Stop(kRedis).IgnoreError();
}

absl::Status LocalCluster::Kill(const std::string& name, bool stay_down) {
  return supervisor_.Kill(name, stay_down);
}

absl::Status LocalCluster::StartOne(const std::string& name) { return supervisor_.Start(name); }

absl::Status LocalCluster::StopOne(const std::string& name) { return supervisor_.Stop(name); }

absl::Status LocalCluster::Restart(const std::string& name) {
  RETURN_IF_ERROR(supervisor_.Stop(name));
  return supervisor_.Start(name);
}

absl::Status LocalCluster::EraseRedis() {
  if (supervisor_.Pid(kRedis) != 0) {
    return absl::FailedPreconditionError("stop redis before erasing its files");
  }
  std::error_code error;
  std::filesystem::remove_all(Path("redis"), error);
  if (error) return absl::InternalError(absl::StrCat("cannot erase: ", error.message()));
  return MakeDirectory(Path("redis"), 0700);
}

}  // namespace fairlead::cli
