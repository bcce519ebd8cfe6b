#include "scheduler/learn/label_checks.h"

#include "gtest/gtest.h"

namespace fairlead::learn {
namespace {

store::v1::ProjectRecord Project(int32_t check_after) {
  store::v1::ProjectRecord project;
  project.set_project("t/p");
  auto& settings = *project.mutable_settings();
  settings.mutable_model_loop()->set_check_after_labels(check_after);
  settings.mutable_redundancy()->set_min_answers(1);
  settings.mutable_task_expiry()->set_seconds(60);
  return project;
}

store::v1::ModelRecord Model() {
  store::v1::ModelRecord model;
  model.set_model("t/p");
  model.set_project("t/p");
  model.set_kind(fairlead::v1::TASK_KIND_IMAGE_TEXT);
  model.set_champion("tenants/t/models/p/versions/1");
  return model;
}

TEST(LabelChecksTest, AreDueOnceEnoughLabelsHaveComeAndNoneIsUnderWay) {
  store::v1::ModelRecord model = Model();
  EXPECT_FALSE(CheckIsDue(Project(0), model, 10'000)) << "the project asks for none";
  EXPECT_FALSE(CheckIsDue(Project(200), model, 199));
  EXPECT_TRUE(CheckIsDue(Project(200), model, 200));
  BeginCheck("blob", 200, model);
  EXPECT_FALSE(CheckIsDue(Project(200), model, 1000)) << "one is under way";
  store::v1::JobFinished finished;
  *finished.mutable_job() = model.checking();
  EXPECT_TRUE(EndCheck(finished, 3, model));
  EXPECT_FALSE(CheckIsDue(Project(200), model, 399));
  EXPECT_TRUE(CheckIsDue(Project(200), model, 400));
  model.clear_champion();
  EXPECT_FALSE(CheckIsDue(Project(200), model, 400)) << "no model reads well enough";
}

TEST(LabelChecksTest, TheSameLabelsAreTheSameJobAndItEndsOnce) {
  store::v1::ModelRecord model = Model(), again = Model();
  const store::v1::JobRecord job = BeginCheck("blob", 200, model);
  EXPECT_EQ(job.job(), BeginCheck("blob", 200, again).job());
  EXPECT_NE(job.job(), BeginCheck("another", 200, again).job());
  EXPECT_EQ(job.kind(), "check-ocr");
  EXPECT_EQ(job.tenant(), "t");
  EXPECT_EQ(job.manifest_blob(), "blob");
  store::v1::JobFinished finished;
  *finished.mutable_job() = job;
  EXPECT_TRUE(EndCheck(finished, 3, model));
  EXPECT_FALSE(EndCheck(finished, 3, model));
  EXPECT_EQ(model.doubted_labels(), 3);
  EXPECT_EQ(model.checked_labels(), 200);
}

TEST(LabelChecksTest, TheCheckIsATaskOfItsOwnForTwoPeople) {
  store::v1::DatasetManifest::Item item;
  item.set_id("task-1");
  item.set_group("receipt-7");
  item.mutable_payload()->mutable_image_text()->set_blob("image");
  item.mutable_answer()->set_text("12.30");
  store::v1::ProjectRecord project = Project(200);
  store::v1::TaskRecord task = CheckTask(project, item, "task-2", 5000);
  EXPECT_EQ(task.task(), "task-2");
  EXPECT_EQ(task.checks(), "task-1");
  EXPECT_EQ(task.project(), "t/p");
  EXPECT_EQ(task.group(), "receipt-7");
  EXPECT_EQ(task.payload().image_text().blob(), "image");
  EXPECT_FALSE(task.has_gold());
  EXPECT_EQ(task.want(), 2);
  EXPECT_EQ(task.expire_ms(), 65'000);
  project.mutable_settings()->mutable_redundancy()->set_min_answers(3);
  EXPECT_EQ(CheckTask(project, item, "task-2", 5000).want(), 3);
}

}  // namespace
}  // namespace fairlead::learn
