// Ids: 128 bits, sortable by time (48 bits of Unix milliseconds, 80 random bits), written as 26
// lower-case Crockford base-32 characters. Tokens and nonces: 64 or more random bits.
#pragma once

#include <cstdint>
#include <string>

#include "absl/random/bit_gen_ref.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace fairlead {

// A fresh id. Not for secrets: `gen` need not be cryptographic.
std::string NewId(absl::Time now, absl::BitGenRef gen);

// True for exactly 26 characters of the id alphabet.
bool IsId(absl::string_view text);

// True for a name a person chose: 1–63 of [a-z0-9-], beginning with a letter, not ending in '-'.
bool IsSlug(absl::string_view text);

// `bytes` bytes from the operating system's generator, as lower-case hex. For bearer secrets and
// fencing tokens. Aborts when the system has no randomness.
std::string RandomHex(int bytes);

}  // namespace fairlead
