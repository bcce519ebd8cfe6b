// Load on a cluster while something is done to it, and the independent checker afterwards: the
// client's log, the contractors' own receipts, and what the server says, against each other.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>

#include "scheduler/cli/results_log.h"
#include "tests/e2e/cluster_fixture.h"

namespace fairlead::e2e {

class LoadTest : public ClusterTest {
 protected:
  static constexpr int kTasks = 400;
  static constexpr int kBatch = 20;

  // Submits while contractors answer, calls `disturb` at the given task counts (multiples of
  // kBatch), and checks that every acknowledged task ends exactly once and that nobody is paid
  // twice or not at all (G1, G2, G4). Once a cluster.
  void RunLoad(const std::map<int, std::function<void()>>& disturb);

 private:
  void CheckOutcomes(const cli::ResultsLog& results, const std::set<std::string>& acknowledged);
  // The contractors' own receipts against the server's pay entries and balances.
  void CheckPay(const cli::Simulator& simulator, const std::string& project);
  std::set<std::string> PayEntries(const std::string& contractor);
  // The balance is a projection: it may be a moment behind the entries.
  bool BalanceBecomes(const std::string& contractor, int64_t micros);
};

}  // namespace fairlead::e2e
