// What a bad connection does to a call, for the faulty_*.h decorators.
#pragma once

namespace fairlead::testing {

// kBefore: the request was lost. kAfter: it had its effect, and the reply was lost.
enum class Fault { kNone, kBefore, kAfter };

}  // namespace fairlead::testing
