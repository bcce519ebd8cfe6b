// A crowd of simulated contractors as real gRPC clients. In `fairlead simulate`, the demo and the
// tests.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "scheduler/cli/simulated_contractor.h"
#include "scheduler/cli/truth.h"

namespace fairlead::cli {

struct SimulatorOptions {
  std::string address;
  std::string operator_token;                     // Creates the contractors' own tokens.
  int contractors = 50;                           // 1–1,000.
  double accuracy = 0.90;                         // Mean over contractors, in (0, 1).
  double accuracy_sd = 0.06;                      // Spread over contractors (Beta); 0: all alike.
  absl::Duration pace = absl::Milliseconds(300);  // Median work time of the median contractor.
  double pace_sigma = 0.35;  // Of the logarithm, over contractors and over tasks alike.
  double decline_rate = 0.02;
  double lapse_rate = 0.01;
  absl::Duration arrival;           // They come online evenly over this time; zero: at once.
  std::string name_prefix = "sim";  // Contractor "contractors/<prefix>-001".
  uint64_t seed = 1;
};

// The personas that options stand for, without tokens. Pure; the same for the same options.
std::vector<Persona> DrawPersonas(const SimulatorOptions& options);

// Thread-safe after Start.
class Simulator {
 public:
  // Creates tokens, enrols everybody, opens the streams. `truth` must outlive it.
  // INVALID_ARGUMENT naming the option; else the server's first refusal.
  static absl::StatusOr<std::unique_ptr<Simulator>> Start(const SimulatorOptions& options,
                                                          const Truth* truth);
  ~Simulator();  // Stop().

  // Takes no further offers and waits until what is under way has its receipt; true when it all
  // had.
  bool Drain(absl::Duration timeout);
  // Breaks all streams off and waits for their end.
  void Stop();

  ContractorCounters counters() const;  // Sums; connected = streams open.
  std::vector<ReceiptRecord> receipts() const;
  const std::vector<std::shared_ptr<SimulatedContractor>>& contractors() const {
    return contractors_;
  }

 private:
  Simulator() = default;
  absl::Status Enrol(const SimulatorOptions& options, std::vector<Persona>& personas);

  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<v1::ContractorService::Stub>> stubs_;
  std::vector<std::shared_ptr<SimulatedContractor>> contractors_;
  std::unique_ptr<TimerQueue> timers_ = std::make_unique<TimerQueue>();
};

}  // namespace fairlead::cli
