// What goes down a contractor's stream, and when.
#include "scheduler/api/work_hub.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "scheduler/api/names.h"

namespace fairlead::api {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class WorkHubTest : public ::testing::Test {
 protected:
  WorkHubTest() {
    store::v1::Event event;
    event.mutable_project_put()->set_project("acme/p");
    event.mutable_project_put()->add_pay_rates()->set_micros_per_annotation(1);
    registry_.Apply(event, 0);
  }
  static store::v1::Event Placed(const std::string& assignment, store::v1::Placement::State state) {
    store::v1::Event event;
    event.set_project("acme/p");
    event.set_key("task");
    event.mutable_placement()->set_contractor("ana");
    event.mutable_placement()->set_assignment(assignment);
    event.mutable_placement()->set_token("token of " + assignment);
    event.mutable_placement()->set_state(state);
    return event;
  }
  std::shared_ptr<WorkSubscription> Open(const std::string& contractor,
                                         std::vector<std::string>& got) {
    return hub_.Subscribe(contractor, [&got](const v1::WorkResponse& response) {
      got.push_back(response.has_offer() ? response.offer().token() : response.withdrawn());
    });
  }

  store::RegistryView registry_;
  dispatch::TaskView view_;
  WorkHub hub_{&registry_, &view_, /*homes=*/nullptr};
};

constexpr auto kOffered = store::v1::Placement::OFFERED;

TEST_F(WorkHubTest, AnOfferIsSentOnceAndBeforeItIsOnDisk) {
  std::vector<std::string> ana, ben;
  const auto stream = Open("ana", ana), other = Open("ben", ben);
  hub_.Foresee(Placed("first", kOffered));
  EXPECT_THAT(ana, ElementsAre("token of first"));
  hub_.Foresee(Placed("second", kOffered));
  hub_.Apply(Placed("first", kOffered), 0);
  hub_.Apply(Placed("second", kOffered), 0);
  EXPECT_THAT(ana, ElementsAre("token of first", "token of second"));
  EXPECT_THAT(ben, IsEmpty());
}

TEST_F(WorkHubTest, WhoComesMeanwhileGetsItAsWell) {
  std::vector<std::string> early, late;
  const auto stream = Open("ana", early);
  hub_.Foresee(Placed("first", kOffered));
  const auto newer = Open("ana", late);
  EXPECT_THAT(late, IsEmpty());
  hub_.Foresee(Placed("first", kOffered));  // The disk was full: it is read again.
  hub_.Apply(Placed("first", kOffered), 0);
  EXPECT_THAT(late, ElementsAre("token of first"));
  EXPECT_THAT(early, ElementsAre("token of first"));
}

TEST_F(WorkHubTest, WhatEndsAnOfferWaitsForTheDisk) {
  std::vector<std::string> got;
  const auto stream = Open("ana", got);
  hub_.Foresee(Placed("first", store::v1::Placement::LAPSED));
  EXPECT_THAT(got, IsEmpty());
  hub_.Apply(Placed("first", store::v1::Placement::LAPSED), 0);
  EXPECT_THAT(got, ElementsAre(AssignmentNameOf("acme/p", "task", "first")));
  hub_.Unsubscribe(stream);
  hub_.Foresee(Placed("second", kOffered));
  EXPECT_EQ(got.size(), 1) << "nobody is there";
}

}  // namespace
}  // namespace fairlead::api
