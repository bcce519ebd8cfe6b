// Which training texts a head can spell; the others are set aside. Torch-free.
#pragma once

#include <string>
#include <vector>

#include "absl/types/span.h"
#include "trainer/train.h"

namespace fairlead::trainer {

// What a head of an image's width can hold.
struct TextLimit {
  std::string head;
  int width = 0;       // Of the image, for the message.
  int characters = 0;  // Longest text.
  int columns = 0;     // Of the map, for ctc, which needs one a character and one between equal
                       // neighbours; 0 for the heads that count positions.
};

struct TextFit {
  std::vector<bool> usable;            // One an example; unusable are only ever training examples.
  std::vector<OcrSetAside> set_aside;  // Those, in order, with the limit in the reason.
  int longest = 0;                     // Characters of the longest usable training text.
};

// INVALID_ARGUMENT when a text is not UTF-8, or no training text fits.
absl::StatusOr<TextFit> FitTexts(absl::Span<const OcrExample> examples, const TextLimit& limit);

}  // namespace fairlead::trainer
