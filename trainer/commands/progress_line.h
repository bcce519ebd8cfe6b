// What a long training shows, and how it is stopped.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "trainer/data/ocr_folder.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// One line that is written over on a terminal; elsewhere a line for each measurement and, between
// them, one in ten seconds. To standard error.
class ProgressLine {
 public:
  explicit ProgressLine(std::string prefix = "") : prefix_(std::move(prefix)) {}

  void Show(const TrainProgress& progress);
  void ShowTrial(const HeadTrial& trial);

 private:
  const std::string prefix_;
  double exact_ = -1;  // The last measured.
  std::chrono::steady_clock::time_point shown_;
};

// After SIGINT or SIGTERM: write a checkpoint and stop. Once a process.
std::function<Command()> StopOnSignal();

// Says on standard error how many items were left out, and names the first of them.
void PrintSetAside(const std::vector<OcrSetAside>& set_aside);

}  // namespace fairlead::trainer
