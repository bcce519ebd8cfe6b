// Load on a cluster while something is done to it, and the independent checker afterwards: the
// client's log, the contractors' own receipts, and what the server says, against each other.
#pragma once

#include <functional>
#include <map>
#include <memory>
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

  // Contractors who answer the first `tasks` of ClassItems, of which `truth` will know.
  std::unique_ptr<cli::Simulator> StartContractors(cli::Truth* truth, int tasks);
  // Every acknowledged task has ended once, and no other has.
  static void CheckOutcomes(const cli::ResultsLog& results,
                            const std::set<std::string>& acknowledged);
  // The contractors' own receipts against the server's pay entries and balances, and the project's
  // counts against its `tasks`, all of which have ended.
  void CheckPay(const cli::Simulator& simulator, const std::string& project, int64_t tasks);

 private:
  std::set<std::string> PayEntries(const std::string& contractor);
  // The balance is a projection: it may be a moment behind the entries.
  bool BalanceBecomes(const std::string& contractor, int64_t micros);
};

}  // namespace fairlead::e2e
