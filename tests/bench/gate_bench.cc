// ./dev bench gate: how often the paired gate lets a challenger of known worth pass.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "common/base/status.h"
#include "tests/bench/gate_cases.h"
#include "tests/bench/marks.h"

namespace fairlead::bench {
namespace {

struct Tally {
  int promoted = 0;
  double gain = 0;  // Mean measured gain: of all trials together nearly the true one.
  std::string last_refusal;
};

Tally Try(GateCase& one, Challenger challenger, int trials) {
  Tally tally;
  for (int trial = 0; trial < trials; ++trial) {
    const learn::PairedDecision decision =
        learn::DecidePaired(one.Draw(challenger, static_cast<uint32_t>(trial)));
    tally.promoted += decision.promote ? 1 : 0;
    tally.gain += 100 * decision.gain / trials;
    if (!decision.promote) tally.last_refusal = decision.reason;
  }
  return tally;
}

void Judge(GateCase& one, Marks& marks) {
  const Tally same = Try(one, Challenger::kSame, 200);
  marks.Figure(one.name(), "A/A: mean gain", same.gain, "points");
  marks.Check(one.name(), "A/A promoted", same.promoted, "of 200", "≤ 16", same.promoted <= 16);
  const Tally better = Try(one, Challenger::kBetter, 50);
  marks.Figure(one.name(), "better: mean gain", better.gain, "points");
  marks.Check(one.name(), "better promoted", better.promoted, "of 50", "≥ 40",
              better.promoted >= 40);
  const struct {
    const char* name;
    Challenger challenger;
    int most;
  } harms[] = {{"class lost", Challenger::kClassLost, 0},
               {"swapped heads", Challenger::kSwapped, 0},
               {"stale normalisation", Challenger::kStale, 0},
               {"NaN", Challenger::kNotANumber, 0},
               {"20 % labels flipped", Challenger::kFlipped20, 0},
               {"5 % labels flipped", Challenger::kFlipped5, 2}};
  for (const auto& harm : harms) {
    const Tally tally = Try(one, harm.challenger, 20);
    marks.Check(one.name(), absl::StrCat(harm.name, " refused"), 20 - tally.promoted, "of 20",
                absl::StrFormat("≥ %d", 20 - harm.most), tally.promoted <= harm.most);
    std::fprintf(stdout, "    %s\n", tally.last_refusal.c_str());
  }
}

absl::Status Run(const std::string& json, bool& met) {
  Marks marks("gate");
  ASSIGN_OR_RETURN(const auto reader, ReaderGateCase());
  Judge(*reader, marks);
  ASSIGN_OR_RETURN(const auto reward, RewardGateCase());
  Judge(*reward, marks);
  met = marks.Print();
  return json.empty() ? absl::OkStatus() : marks.WriteJson(json);
}

int Main(int argc, char** argv) {
  CLI::App app("How often the gate lets a challenger of known worth pass");
  app.footer(
      "Exit codes: 0 all marks met, 1 a mark missed or an error.\n"
      "Example: ./dev bench gate --json gate.jsonl");
  std::string json;
  app.add_option("--json", json, "Also write one JSON object a figure here");
  CLI11_PARSE(app, argc, argv);
  bool met = false;
  const absl::Status status = Run(json, met);
  if (!status.ok()) std::fprintf(stderr, "%s\n", std::string(status.message()).c_str());
  return status.ok() && met ? 0 : 1;
}

}  // namespace
}  // namespace fairlead::bench

int main(int argc, char** argv) { return fairlead::bench::Main(argc, argv); }
