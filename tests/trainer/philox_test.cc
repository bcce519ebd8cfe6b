#include "common/base/philox.h"

#include <gtest/gtest.h>

#include <set>

namespace fairlead {
namespace {

// Known answers of Random123 1.09 (Salmon et al. 2011), file kat_vectors.
TEST(PhiloxTest, GivesTheKnownAnswers) {
  EXPECT_EQ(Philox4x32({0, 0, 0, 0}, {0, 0}),
            (PhiloxCounter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(Philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (PhiloxCounter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(Philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (PhiloxCounter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(PhiloxTest, StreamsWithOtherNamesDiffer) {
  std::set<uint32_t> first;
  for (uint32_t part = 0; part < 4; ++part) {
    first.insert(PhiloxStream(part == 0, part == 1, part == 2, part == 3).Next());
  }
  EXPECT_EQ(first.size(), 4u);
  EXPECT_EQ(PhiloxStream(1, 2, 3, 4).Next(), PhiloxStream(1, 2, 3, 4).Next());
}

TEST(PhiloxTest, NormalNumbersHaveMeanZeroAndDeviationOne) {
  PhiloxStream stream(5, 0, 0, 0);
  double sum = 0, squares = 0;
  constexpr int kCount = 20000;
  for (int i = 0; i < kCount; ++i) {
    const double value = stream.Normal();
    sum += value;
    squares += value * value;
  }
  EXPECT_NEAR(sum / kCount, 0, 0.03);
  EXPECT_NEAR(squares / kCount, 1, 0.05);
}

}  // namespace
}  // namespace fairlead
