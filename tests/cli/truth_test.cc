#include "scheduler/cli/truth.h"

#include "common/base/hash.h"
#include "gtest/gtest.h"

namespace fairlead::cli {
namespace {

TEST(TruthTest, AnImageIsFoundByBytesAndByBlobId) {
  Truth truth;
  truth.AddImage("image bytes", "10.00");
  v1::Payload by_bytes;
  by_bytes.mutable_image_text()->set_image("image bytes");
  v1::Payload by_blob;
  by_blob.mutable_image_text()->set_blob(Sha256Hex("image bytes"));
  ASSERT_NE(truth.Find(by_bytes), nullptr);
  EXPECT_EQ(truth.Find(by_bytes)->text(), "10.00");
  EXPECT_EQ(truth.Find(by_blob), truth.Find(by_bytes));
  by_bytes.mutable_image_text()->set_image("other");
  EXPECT_EQ(truth.Find(by_bytes), nullptr);
}

TEST(TruthTest, APairIsFoundByItsTextsInTheirOrder) {
  Truth truth;
  v1::Payload payload;
  payload.mutable_pair()->set_prompt("p");
  payload.mutable_pair()->set_response_a("a");
  payload.mutable_pair()->set_response_b("b");
  v1::Answer answer;
  answer.set_preferred(v1::Answer::SIDE_B);
  truth.Add(payload, answer);
  ASSERT_NE(truth.Find(payload), nullptr);
  EXPECT_EQ(truth.Find(payload)->preferred(), v1::Answer::SIDE_B);
  payload.mutable_pair()->set_response_a("b");
  payload.mutable_pair()->set_response_b("a");
  EXPECT_EQ(truth.Find(payload), nullptr);
}

}  // namespace
}  // namespace fairlead::cli
