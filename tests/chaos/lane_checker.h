// The independent checker of the machine lane: reads what producers and workers wrote down and what
// the record log holds, and says what contradicts the guarantees. Knows nothing of how the lane
// works. Pure.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tests/chaos/actor_log.h"

namespace fairlead::chaos {

// A job's end as the record log has it. Workers hand in their token as the result.
struct JobEnd {
  std::string job;
  std::string token;  // "" of a dead one.
};

struct LaneHistory {
  std::map<std::string, std::vector<Entry>> logs;  // By process, of all its lives.
  std::vector<JobEnd> ends;
  // Redis came back empty, and all jobs were enqueued again: they may run twice, and an ack that
  // was not in the record log yet is gone.
  bool lane_lost = false;
};

// What is wrong, a sentence each:
//  - an acknowledged job that did not end exactly once; an end of a job that nobody sent;
//  - an ack that was answered as valid and is not in the record log; a result that nobody handed in
//    under that token;
//  - a call under a token that was answered as valid after another holder had the job already.
std::vector<std::string> CheckLane(const LaneHistory& history);

}  // namespace fairlead::chaos
