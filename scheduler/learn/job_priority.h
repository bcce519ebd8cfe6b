// Which of the models' jobs goes first where one worker does them all: higher first, and between
// classes of jobs a point is a second of waiting (common/queue/job_queue.h).
#pragma once

namespace fairlead::learn {

inline constexpr int kPrelabelPriority = 10;  // Seconds of work that save people's.
inline constexpr int kTrainPriority = 5;
inline constexpr int kFreshPriority = 2;    // A round from the beginning, behind the warm ones.
inline constexpr int kCheckPriority = 1;    // Of labels.
inline constexpr int kRebuildPriority = 0;  // Behind what anybody waits for.

}  // namespace fairlead::learn
