// The checker finds each kind of wrong that it is there for, and nothing in a history that is
// right.
#include "tests/chaos/lane_checker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tests/common/temp_directory.h"
#include "tests/support/status_matchers.h"

namespace fairlead::chaos {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// A job that was lost by one worker and done by another, whose first ack went unanswered.
LaneHistory Right() {
  LaneHistory history;
  history.logs["producer"] = {{10, "send", {"j"}}, {20, "acked", {"j"}}};
  history.logs["zombie"] = {{1, "begin", {"z"}},
                            {30, "sent", {"z.1"}},
                            {40, "reply", {"z.1", "lease:a-1:j"}},
                            {50, "sent", {"z.2", "note:a-1"}},
                            {60, "reply", {"z.2"}},
                            {300, "sent", {"z.3", "ack:a-1"}},
                            {310, "reply", {"z.3", "lost:a-1"}}};
  history.logs["worker"] = {{1, "begin", {"w"}},
                            {100, "sent", {"w.1"}},
                            {110, "failed", {"w.1"}},
                            {120, "mine", {"w.1", "lease:b-1:j"}},
                            {130, "sent", {"w.2"}},
                            {140, "reply", {"w.2"}},
                            {150, "sent", {"w.3", "ack:b-1"}},
                            {160, "reply", {"w.3"}}};
  history.ends = {{"j", "b-1"}};
  return history;
}

TEST(LaneCheckerTest, FindsNothingInWhatIsRight) { EXPECT_THAT(CheckLane(Right()), IsEmpty()); }

TEST(LaneCheckerTest, FindsAJobThatIsLostOrEndsTwice) {
  LaneHistory history = Right();
  history.ends.clear();
  EXPECT_THAT(CheckLane(history), ElementsAre(HasSubstr("ended 0 times"),
                                              HasSubstr("b-1 was answered as valid and is not")));
  history.ends = {{"j", "b-1"}, {"j", ""}};
  EXPECT_THAT(CheckLane(history), ElementsAre(HasSubstr("ended 2 times")));
  history.lane_lost = true;
  EXPECT_THAT(CheckLane(history), IsEmpty());
  history.ends.clear();
  EXPECT_THAT(CheckLane(history), ElementsAre(HasSubstr("ended 0 times")));
}

TEST(LaneCheckerTest, FindsWhatNobodySentOrHandedIn) {
  LaneHistory history = Right();
  history.ends.push_back({"ghost", ""});
  EXPECT_THAT(CheckLane(history), ElementsAre(HasSubstr("ghost ended, and nobody sent it")));
  history = Right();
  history.ends[0].token = "c-1";
  EXPECT_THAT(CheckLane(history),
              ElementsAre(HasSubstr("which nobody handed in"), HasSubstr("b-1 was answered")));
  history = Right();
  history.ends.push_back({"j", "a-1"});
  history.lane_lost = true;
  history.logs["zombie"][2].fields[1] = "lease:a-1:k";
  EXPECT_THAT(CheckLane(history), ElementsAre(HasSubstr("which is of k")));
}

TEST(LaneCheckerTest, FindsTwoHolders) {
  LaneHistory history = Right();
  history.logs["zombie"][3].time_ns = 50;
  history.logs["worker"][2] = {110, "reply", {"w.1", "lease:b-1:j"}};
  EXPECT_THAT(CheckLane(history), IsEmpty());
  history.logs["zombie"][5] = {300, "sent", {"z.3", "note:a-1"}};
  history.logs["zombie"][6] = {310, "reply", {"z.3"}};
  EXPECT_THAT(CheckLane(history), ElementsAre(HasSubstr("a-1 was valid when b-1 had it already")));
  history.logs["zombie"][5].time_ns = 105;  // It may have been before the other's grant.
  EXPECT_THAT(CheckLane(history), IsEmpty());
}

TEST(LaneCheckerTest, FindsACallUnderATokenThatWasNeverGranted) {
  LaneHistory history = Right();
  history.logs["worker"].push_back({170, "sent", {"w.4", "nack:x-1"}});
  history.logs["worker"].push_back({180, "reply", {"w.4"}});
  EXPECT_THAT(CheckLane(history), ElementsAre(HasSubstr("nobody had leased it")));
}

TEST(ActorLogTest, GivesBackWhatWasWrittenOverLivesAndLeavesATornLine) {
  TempDirectory directory;
  const std::string path = directory.File("log");
  int64_t offset = 0;
  EXPECT_THAT(*ReadEntries(path, &offset), IsEmpty());
  for (const char* id : {"a", "b"}) {
    auto log = ActorLog::Open(path);
    ASSERT_OK(log);
    log->Write("send", {id, "c"});
  }
  std::ofstream(path, std::ios::app) << "123 se";
  auto entries = ReadEntries(path, &offset);
  ASSERT_OK(entries);
  ASSERT_EQ(entries->size(), 2u);
  EXPECT_THAT((*entries)[1].fields, ElementsAre("b", "c"));
  EXPECT_LE((*entries)[0].time_ns, (*entries)[1].time_ns);
  std::ofstream(path, std::ios::app) << "nd d\n";
  EXPECT_THAT(ReadEntries(path, &offset)->at(0).fields, ElementsAre("d"));
  std::ofstream(path, std::ios::app) << "none\n";
  EXPECT_FALSE(ReadEntries(path, &offset).ok());
}

}  // namespace
}  // namespace fairlead::chaos
