#include "scheduler/quality/spend_book.h"

#include "gtest/gtest.h"

namespace fairlead::quality {
namespace {

TEST(SpendBookTest, CountsPayAndLabelsByProject) {
  SpendBook book;
  const auto annotated = [&](const char* project, int64_t micros) {
    store::v1::Event event;
    event.set_project(project);
    event.mutable_annotated()->mutable_pay()->set_micros(micros);
    book.Apply(event, 0);
  };
  annotated("dev/one", 50'000);
  annotated("dev/one", 60'000);
  annotated("dev/two", 1);
  store::v1::Event completed;
  completed.set_project("dev/one");
  completed.mutable_completed()->set_answers(2);
  book.Apply(completed, 0);
  store::v1::Event erased;
  erased.set_project("dev/one");
  erased.mutable_erased()->set_task("a");
  book.Apply(erased, 0);
  EXPECT_EQ(book.Of("dev/one").paid_micros, 110'000) << "what is deleted was paid";
  EXPECT_EQ(book.Of("dev/one").completed, 1);
  EXPECT_EQ(book.Of("dev/one").completed_answers, 2);
  EXPECT_EQ(book.Of("dev/two").paid_micros, 1);
  EXPECT_EQ(book.Of("dev/three").paid_micros, 0);
}

}  // namespace
}  // namespace fairlead::quality
