#include "trainer/commands/progress_line.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>

#include "absl/strings/str_format.h"

namespace fairlead::trainer {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

void RequestStop(int /*signal*/) { stop_requested = 1; }

bool OnTerminal() { return isatty(STDERR_FILENO) != 0; }

}  // namespace

void ProgressLine::Show(const TrainProgress& p) {
  std::string line = absl::StrFormat("%sepoch %d/%d  %.0f images/s  loss %.3f", prefix_, p.epoch,
                                     p.epochs, p.images_per_second, p.train_loss);
  const bool measured = p.validation_exact_match >= 0;
  if (measured) exact_ = 100 * p.validation_exact_match;
  if (exact_ >= 0) absl::StrAppendFormat(&line, "  exact match %.1f %%", exact_);
  absl::StrAppendFormat(&line, "  %.0f s left", p.seconds_left);
  const auto now = std::chrono::steady_clock::now();
  if (OnTerminal()) {
    std::fprintf(stderr, "\r\033[K%s%s", line.c_str(), measured ? "\n" : "");
  } else if (measured || now - shown_ >= std::chrono::seconds(10)) {
    std::fprintf(stderr, "%s\n", line.c_str());
    shown_ = now;
  }
}

void ProgressLine::ShowTrial(const HeadTrial& trial) {
  std::fprintf(stderr, "%shead %s tried: exact match %.1f %%, NLL %.2f\n",
               OnTerminal() ? "\r\033[K" : "", trial.head.c_str(), 100 * trial.exact_match,
               trial.negative_log_likelihood);
}

std::function<Command()> StopOnSignal() {
  std::signal(SIGINT, RequestStop);
  std::signal(SIGTERM, RequestStop);
  return [] { return stop_requested != 0 ? Command::kCheckpointAndStop : Command::kContinue; };
}

void PrintSetAside(const std::vector<OcrSetAside>& set_aside) {
  constexpr size_t kNamed = 5;
  if (set_aside.empty()) return;
  std::fprintf(stderr, "%zu set aside as unusable:\n", set_aside.size());
  for (size_t i = 0; i < std::min(kNamed, set_aside.size()); ++i) {
    std::fprintf(stderr, "  %s: %s\n", set_aside[i].id.c_str(), set_aside[i].reason.c_str());
  }
  if (set_aside.size() > kNamed) std::fprintf(stderr, "  …\n");
}

}  // namespace fairlead::trainer
