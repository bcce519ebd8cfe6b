// How fast the net runs in this process, beside the same net in Python.
#pragma once

#include <string>

#include "tests/bench/marks.h"

namespace fairlead::bench {

// Training and folded inference against tests/bench/ocr_reference.py, alternating; the best of
// three rounds each, for other load on the machine only ever slows a round down. Images a
// CPU-second. `full`: the full network as well as the eighth.
void CompareWithPython(int threads, bool full, Marks& marks);

// The full network on the CPU: what some two hundred steps do to the loss, and how long the longest
// checkpoint held a step up.
void MeasureFullNet(int threads, Marks& marks);

}  // namespace fairlead::bench
