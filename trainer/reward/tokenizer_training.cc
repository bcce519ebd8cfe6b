// TrainPieces (tokenizer.h): hands the texts to fairlead-tokenizer and takes its model.
#include <fcntl.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "common/base/program.h"
#include "common/base/status.h"
#include "trainer/reward/tokenizer.h"

namespace fairlead::trainer {
namespace {

constexpr size_t kMostBytes = 16 << 20;  // Of all texts: 10 s of training.

// One text a line. Every n-th when there are too many.
std::string LinesOf(absl::Span<const absl::string_view> texts) {
  size_t bytes = 0;
  for (const absl::string_view text : texts) bytes += text.size() + 1;
  const size_t stride = bytes / kMostBytes + 1;
  std::string lines;
  for (size_t i = 0; i < texts.size(); i += stride) {
    const size_t begin = lines.size();
    absl::StrAppend(&lines, texts[i].substr(0, kMostBytes));
    std::replace(lines.begin() + static_cast<std::ptrdiff_t>(begin), lines.end(), '\n', ' ');
    lines += '\n';
  }
  return lines;
}

// The program with our end of its standard input and output.
class Conversation {
 public:
  Conversation() = default;
  Conversation(const Conversation&) = delete;
  Conversation& operator=(const Conversation&) = delete;
  ~Conversation() {
    if (socket_ >= 0) close(socket_);
    if (process_ > 0) waitpid(process_, nullptr, 0);
  }

  absl::Status Start(const std::string& program, int vocabulary) {
    std::array<int, 2> ends = {-1, -1};
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) return Failed();
    socket_ = ends[0];
    std::array<std::string, 3> words = {program, "--vocabulary", absl::StrCat(vocabulary)};
    std::array<char*, 4> argv = {words[0].data(), words[1].data(), words[2].data(), nullptr};
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDIN_FILENO);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    const int failure =
        posix_spawn(&process_, program.c_str(), &actions, nullptr, argv.data(), environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    if (failure == 0) return absl::OkStatus();
    process_ = -1;
    errno = failure;
    return Failed();
  }

  // The program reads all before it writes.
  absl::StatusOr<std::string> Exchange(absl::string_view input) {
    while (!input.empty()) {
      const ssize_t sent = send(socket_, input.data(), input.size(), MSG_NOSIGNAL);
      if (sent < 0 && errno == EINTR) continue;
      if (sent < 0) return Failed();
      input.remove_prefix(static_cast<size_t>(sent));
    }
    shutdown(socket_, SHUT_WR);
    std::string output;
    std::array<char, 65536> part = {};
    for (;;) {
      const ssize_t got = read(socket_, part.data(), part.size());
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) return Failed();
      if (got == 0) return output;
      output.append(part.data(), static_cast<size_t>(got));
    }
  }

  int ExitCode() {
    int status = 0;
    while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
    }
    process_ = -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  }

 private:
  static absl::Status Failed() {
    return absl::UnavailableError(absl::StrCat("fairlead-tokenizer: ", strerror(errno)));
  }

  int socket_ = -1;
  pid_t process_ = -1;
};

}  // namespace

absl::StatusOr<std::string> TrainPieces(absl::Span<const absl::string_view> texts, int vocabulary) {
  absl::StatusOr<std::string> program = ProgramBeside("fairlead-tokenizer");
  if (!program.ok()) return Annotate(program.status(), "a transformer needs its tokenizer");
  Conversation conversation;
  RETURN_IF_ERROR(conversation.Start(*program, vocabulary));
  ASSIGN_OR_RETURN(std::string answer, conversation.Exchange(LinesOf(texts)));
  const int exit_code = conversation.ExitCode();
  if (exit_code == 0) return answer;
  // What it says then instead of a model.
  answer = std::string(absl::StripAsciiWhitespace(answer.substr(0, 500)));
  if (exit_code == 2) return FieldError("items", answer);
  return absl::InternalError(
      absl::StrCat("fairlead-tokenizer ended with ", exit_code, ": ", answer));
}

}  // namespace fairlead::trainer
