#include "scheduler/cli/simulator.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/hash.h"
#include "common/base/ids.h"
#include "common/base/log.h"
#include "common/base/status.h"
#include "scheduler/cli/error_model.h"

namespace fairlead::cli {
namespace {

// Streams that share one connection.
constexpr size_t kStreamsPerChannel = 10;
constexpr absl::Duration kTokenLifetime = absl::Hours(24);
constexpr absl::Duration kStopTimeout = absl::Seconds(10);

absl::Status Validate(const SimulatorOptions& options) {
  if (options.contractors < 1 || options.contractors > 1000) {
    return FieldError("contractors", "must be 1–1000");
  }
  if (!(options.accuracy > 0 && options.accuracy <= 1)) {
    return FieldError("accuracy", "must be in (0, 1]");
  }
  if (!(options.accuracy_sd >= 0 && options.accuracy_sd < 0.5)) {
    return FieldError("accuracy-sd", "must be in [0, 0.5)");
  }
  if (options.pace <= absl::ZeroDuration()) return FieldError("pace-ms", "must be above 0");
  if (options.decline_rate < 0 || options.lapse_rate < 0 ||
      options.decline_rate + options.lapse_rate > 1) {
    return FieldError("decline-rate", "rates must be in [0, 1], their sum too");
  }
  if (!IsSlug(options.name_prefix) || options.name_prefix.size() > 58) {
    return FieldError("name-prefix", "must be a slug of at most 58 characters");
  }
  return absl::OkStatus();
}

}  // namespace

std::vector<Persona> DrawPersonas(const SimulatorOptions& options) {
  std::vector<Persona> personas;
  for (int i = 0; i < options.contractors; ++i) {
    Persona persona;
    persona.name = absl::StrFormat("contractors/%s-%03d", options.name_prefix, i + 1);
    persona.seed = StableHash64(absl::StrCat(options.seed, "|", i));
    std::mt19937_64 gen(persona.seed);
    persona.accuracy = DrawAccuracy(options.accuracy, options.accuracy_sd, gen);
    persona.pace =
        absl::Seconds(DrawLogNormal(absl::ToDoubleSeconds(options.pace), options.pace_sigma, gen));
    persona.pace_sigma = options.pace_sigma;
    persona.decline_rate = options.decline_rate;
    persona.lapse_rate = options.lapse_rate;
    personas.push_back(std::move(persona));
  }
  return personas;
}

absl::StatusOr<std::unique_ptr<Simulator>> Simulator::Start(const SimulatorOptions& options,
                                                            const Truth* truth) {
  RETURN_IF_ERROR(Validate(options));
  std::vector<Persona> personas = DrawPersonas(options);
  std::unique_ptr<Simulator> simulator(new Simulator());
  for (size_t i = 0; i < personas.size(); i += kStreamsPerChannel) {
    simulator->channels_.push_back(OpenChannel(options.address, /*own_connection=*/true));
    simulator->stubs_.push_back(v1::ContractorService::NewStub(simulator->channels_.back()));
  }
  RETURN_IF_ERROR(simulator->Enrol(options, personas));
  for (size_t i = 0; i < personas.size(); ++i) {
    auto contractor = std::make_shared<SimulatedContractor>(
        personas[i], simulator->stubs_[i / kStreamsPerChannel].get(), truth,
        simulator->timers_.get());
    simulator->contractors_.push_back(contractor);
    const absl::Duration delay =
        options.arrival * static_cast<double>(i) / static_cast<double>(personas.size());
    simulator->timers_->RunAfter(delay, [contractor] { contractor->Start(); });
  }
  return simulator;
}

absl::Status Simulator::Enrol(const SimulatorOptions& options, std::vector<Persona>& personas) {
  const Client admin(options.address, options.operator_token, "");
  for (size_t i = 0; i < personas.size(); ++i) {
    v1::CreateTokenRequest request;
    request.set_role(v1::ROLE_CONTRACTOR);
    request.set_contractor(personas[i].name);
    request.mutable_lifetime()->set_seconds(absl::ToInt64Seconds(kTokenLifetime));
    ASSIGN_OR_RETURN(const v1::CreateTokenResponse token,
                     admin.Call(admin.admin(), &v1::AdminService::Stub::CreateToken, request));
    personas[i].token = token.secret();
    const Client self(options.address, token.secret(), "");
    v1::EnrolRequest enrol;
    enrol.mutable_contractor()->add_languages("en");
    RETURN_IF_ERROR(
        self.Call(stubs_[i / kStreamsPerChannel].get(), &v1::ContractorService::Stub::Enrol, enrol)
            .status());
  }
  return absl::OkStatus();
}

Simulator::~Simulator() { Stop(); }

bool Simulator::Drain(absl::Duration timeout) {
  for (const auto& contractor : contractors_) contractor->Drain();
  const absl::Time deadline = absl::Now() + timeout;
  const auto idle = [](const auto& contractor) { return contractor->idle(); };
  while (!std::all_of(contractors_.begin(), contractors_.end(), idle)) {
    if (absl::Now() > deadline) return false;
    absl::SleepFor(absl::Milliseconds(20));
  }
  return true;
}

void Simulator::Stop() {
  for (const auto& contractor : contractors_) contractor->Stop();
  timers_->Stop();
  const absl::Time deadline = absl::Now() + kStopTimeout;
  for (const auto& contractor : contractors_) {
    while (!contractor->stopped()) {
      if (absl::Now() > deadline) {
        FAIRLEAD_LOG(WARNING) << "stream did not end contractor=" << contractor->persona().name;
        break;
      }
      absl::SleepFor(absl::Milliseconds(5));
    }
  }
}

ContractorCounters Simulator::counters() const {
  ContractorCounters sum;
  for (const auto& contractor : contractors_) sum.Add(contractor->counters());
  return sum;
}

std::vector<ReceiptRecord> Simulator::receipts() const {
  std::vector<ReceiptRecord> all;
  for (const auto& contractor : contractors_) {
    const auto own = contractor->receipts();
    all.insert(all.end(), own.begin(), own.end());
  }
  return all;
}

}  // namespace fairlead::cli
