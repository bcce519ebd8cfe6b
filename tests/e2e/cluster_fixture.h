// A whole local cluster for a test, in a directory of its own, and a client of its tenant.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "fairlead/v1/project_service.pb.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/cluster.h"
#include "scheduler/cli/simulator.h"
#include "scheduler/cli/truth.h"
#include "tests/e2e/class_items.h"

namespace fairlead::e2e {

class ClusterTest : public ::testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  // Starts redis, scheduler (with more flags) and `workers`.
  void StartCluster(int workers, std::vector<std::string> scheduler_arguments = {});
  // Idempotent; the processes end in order.
  void StopCluster();
  // A CLASS project with classes a–d and short windows; returns its full name.
  std::string CreateClassProject(const std::string& id);
  v1::CreateProjectRequest ClassProject(const std::string& id);
  // Submits tasks [begin, end) under one request id, retrying while the store is away; returns
  // names.
  std::vector<std::string> Submit(const std::string& project, int begin, int end,
                                  const std::string& request_id);

  cli::Client& client() { return *client_; }
  cli::Client& op() { return *operator_; }
  cli::LocalCluster& cluster() { return *cluster_; }
  // A contractor's token, made by the operator.
  std::string ContractorToken(const std::string& contractor);
  const std::string& directory() const { return directory_; }

 private:
  std::string directory_;
  std::unique_ptr<cli::LocalCluster> cluster_;
  std::unique_ptr<cli::Client> client_, operator_;
};

}  // namespace fairlead::e2e
