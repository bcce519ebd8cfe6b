// Contractors of the rpc benchmark: real gRPC streams that accept what they are offered and answer
// at once, so that the server is what is measured.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "fairlead/v1/contractor_service.grpc.pb.h"

namespace fairlead::bench {

struct RpcCrowdOptions {
  std::string address;
  std::string operator_token;
  int contractors = 30'000;
  int connections = 300;
  std::vector<std::string> classes;  // The first one is the truth of every task.
};

// What all contractors did so far.
struct RpcTally {
  std::atomic<int64_t> offers{0}, receipts{0}, refusals{0}, open{0}, lost{0};
};

class RpcCrowd {
 public:
  // A token and an enrolment for each, from 32 threads.
  static absl::StatusOr<std::unique_ptr<RpcCrowd>> Enrol(const RpcCrowdOptions& options);
  ~RpcCrowd();

  // Opens all streams, each with credit for one offer, and waits until that is through.
  absl::Status Open(absl::Duration timeout);
  const RpcTally& tally() const;
  // Milliseconds from a task's creation (its id tells it) to the arrival of its offer, of the
  // offers since the last call.
  std::vector<double> TakeWaits();
  // Breaks the streams off and waits for their ends.
  void Close();

 private:
  struct Shared;
  class Contractor;

  RpcCrowd();

  std::shared_ptr<Shared> shared_;
  std::vector<std::unique_ptr<v1::ContractorService::Stub>> stubs_;
  std::vector<std::shared_ptr<Contractor>> contractors_;
};

}  // namespace fairlead::bench
