// How simulated contractors err. Pure and deterministic: everything comes from the generator given.
#pragma once

#include <string>

#include "absl/random/bit_gen_ref.h"
#include "absl/strings/string_view.h"
#include "fairlead/v1/resources.pb.h"

namespace fairlead::cli {

// A text that is not `truth`: one typing error, sometimes two or three (each further one with
// probability 0.2). An error substitutes a character by one that looks alike or lies near (60 %),
// drops one (15 %), inserts one (10 %) or swaps two neighbours (15 %). An empty truth gains a
// character.
std::string CorruptText(absl::string_view truth, absl::BitGenRef gen);

// Another answer than `truth` of the same kind: the other side, another order, another number, an
// erring text. A class is answered by one of `schema`'s other classes.
v1::Answer CorruptAnswer(const v1::Answer& truth, const v1::AnswerSchema& schema,
                         absl::BitGenRef gen);

// Beta(a, b) with this mean and standard deviation, drawn once; what one contractor's accuracy is.
// Mean in (0, 1); a deviation that no Beta has is lowered to one that is (below
// sqrt(mean·(1−mean))).
double DrawAccuracy(double mean, double deviation, absl::BitGenRef gen);

// Log-normal with this median and shape sigma of the logarithm.
double DrawLogNormal(double median, double sigma, absl::BitGenRef gen);

}  // namespace fairlead::cli
