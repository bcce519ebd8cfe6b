// fairlead-worker as a process: it trains, is killed in the middle of an epoch, drains, prelabels.
#include <signal.h>

#include <memory>
#include <set>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "tests/worker/worker_cluster.h"

namespace fairlead {
namespace {

using ::testing::HasSubstr;

constexpr int kItems = 64;

class WorkerProcessTest : public ::testing::Test {
 protected:
  void SetUp() override {
    cluster_ = testing::WorkerCluster::Create();
    ASSERT_NE(cluster_, nullptr);
  }
  void Enqueue(const store::v1::JobRecord& job) {
    const absl::StatusOr<bool> added = cluster_->lane().Enqueue(job, 0);
    ASSERT_TRUE(added.ok()) << added.status();
    ASSERT_TRUE(*added);
  }
  // Waits until the running job says that it trains.
  bool AwaitTraining() {
    return testing::Eventually([this] {
      const auto sessions = cluster_->lane().Sessions(10);
      if (!sessions.ok()) return false;
      for (const queue::SessionView& session : *sessions) {
        if (absl::StartsWith(session.progress, "epoch ")) return true;
      }
      return false;
    });
  }
  int64_t Count(int64_t queue::LaneStats::*member) {
    const absl::StatusOr<std::vector<queue::LaneStats>> all = cluster_->lane().Stats();
    if (!all.ok()) return -1;
    int64_t sum = 0;
    for (const queue::LaneStats& stats : *all) sum += stats.*member;
    return sum;
  }
  std::unique_ptr<testing::WorkerCluster> cluster_;
};

TEST_F(WorkerProcessTest, TrainsThenPrelabelsWithTheModel) {
  cluster_->StartWorker();
  Enqueue(cluster_->MakeTrainOcr("train-1", kItems, /*epochs=*/2));
  const store::v1::JobFinished trained = cluster_->AwaitFinished("train-1");
  EXPECT_FALSE(trained.dead()) << trained.error();
  const store::v1::JobResult& result = trained.result();
  EXPECT_EQ(result.metrics().at("items"), kItems);
  EXPECT_EQ(result.metrics().at("items_unusable"), 0);
  EXPECT_EQ(result.metrics().at("test.count"), kItems / 8);
  EXPECT_TRUE(*cluster_->blobs().Has("acme", result.artefact_blob()));
  EXPECT_EQ(result.evaluation_blob(), "") << "there was no champion";
  EXPECT_EQ(result.metrics().at("load_test"), 1) << cluster_->Log();
  EXPECT_EQ(result.metrics().at("load_test.items"), kItems / 8);

  Enqueue(cluster_->MakePrelabelOcr("prelabel-1", result.artefact_blob(), 70));
  const store::v1::JobFinished read = cluster_->AwaitFinished("prelabel-1");
  EXPECT_FALSE(read.dead()) << read.error();
  EXPECT_EQ(read.result().metrics().at("items_unusable"), 1);
  ASSERT_EQ(read.result().prelabels_size(), 70);
  std::set<std::string> tasks;
  for (const store::v1::PrelabelRecord& prelabel : read.result().prelabels()) {
    tasks.insert(prelabel.task());
    EXPECT_EQ(prelabel.model_version(), "tenants/acme/models/ocr/versions/1");
    EXPECT_GE(prelabel.confidence(), 0);
    EXPECT_LE(prelabel.confidence(), 1);
    EXPECT_TRUE(prelabel.answer().has_text());
  }
  EXPECT_EQ(tasks.size(), 70u);

  EXPECT_TRUE(cluster_->SignalWorker(SIGTERM));
  EXPECT_EQ(cluster_->AwaitWorker(), 0) << cluster_->Log();
}

TEST_F(WorkerProcessTest, LearnsWhatIsPreferredAndSaysSo) {
  cluster_->StartWorker();
  Enqueue(cluster_->MakeTrainReward("train-1", 200));
  const store::v1::JobFinished trained = cluster_->AwaitFinished("train-1");
  ASSERT_FALSE(trained.dead()) << trained.error();
  EXPECT_EQ(trained.result().metrics().at("load_test"), 1) << cluster_->Log();
  EXPECT_EQ(trained.result().metrics().at("load_test.items"), 20);
  Enqueue(cluster_->MakePrelabelReward("prelabel-1", trained.result().artefact_blob(), 20));
  const store::v1::JobFinished judged = cluster_->AwaitFinished("prelabel-1");
  ASSERT_FALSE(judged.dead()) << judged.error();
  ASSERT_EQ(judged.result().prelabels_size(), 20);
  for (int i = 0; i < 20; ++i) {
    const store::v1::PrelabelRecord& prelabel = judged.result().prelabels(i);
    EXPECT_EQ(prelabel.task(), absl::StrCat("task-", i));
    EXPECT_EQ(prelabel.answer().preferred(), i % 2 == 0 ? v1::Answer::SIDE_A : v1::Answer::SIDE_B);
    EXPECT_GE(prelabel.confidence(), 0.5);
    EXPECT_EQ(prelabel.model_version(), "tenants/acme/models/reward/versions/3");
  }
}

TEST_F(WorkerProcessTest, BesideAChampionEveryJudgedItemIsReadByBoth) {
  cluster_->StartWorker();
  store::v1::JobRecord images = cluster_->MakeTrainOcr("train-1", kItems, /*epochs=*/1);
  Enqueue(images);
  Enqueue(cluster_->MakeTrainReward("train-2", 100));
  images.set_champion_blob(cluster_->AwaitFinished("train-1").result().artefact_blob());
  store::v1::JobRecord pairs = cluster_->MakeTrainReward("train-4", 200);
  pairs.set_champion_blob(cluster_->AwaitFinished("train-2").result().artefact_blob());
  images.set_job("train-3");
  for (const store::v1::JobRecord& job : {images, pairs}) {
    Enqueue(job);
    const store::v1::JobFinished trained = cluster_->AwaitFinished(job.job());
    ASSERT_FALSE(trained.dead()) << trained.error();
    store::v1::Evaluation evaluation;
    auto bytes = cluster_->blobs().Get("acme", trained.result().evaluation_blob());
    ASSERT_TRUE(bytes.ok() && evaluation.ParseFromString(*bytes)) << bytes.status();
    EXPECT_EQ(evaluation.champion_blob(), job.champion_blob());
    EXPECT_EQ(evaluation.items_size(), job.kind() == "train-ocr" ? kItems / 8 : 20);
    for (const store::v1::Evaluation::Item& item : evaluation.items()) {
      for (const auto& reading : {item.version(), item.champion()}) {
        EXPECT_GT(reading.loss(), 0) << item.id();
        EXPECT_LT(reading.loss(), 30) << item.id();
        EXPECT_GT(reading.confidence(), 0) << item.id();
        EXPECT_LE(reading.confidence(), 1) << item.id();
      }
    }
  }
}

TEST_F(WorkerProcessTest, AWarmRoundFromShardsGivesTheSameBytes) {
  cluster_->StartWorker();
  store::v1::JobRecord job = cluster_->MakeTrainOcr("train-1", kItems, /*epochs=*/1);
  Enqueue(job);
  const store::v1::JobResult first = cluster_->AwaitFinished("train-1").result();
  EXPECT_EQ(first.metrics().count("items_from_shards"), 0u) << "there is no size yet";
  job.set_champion_blob(first.artefact_blob());
  std::vector<std::string> models;
  for (const auto& [name, found] : {std::pair("train-2", 0), std::pair("train-3", kItems)}) {
    job.set_job(name);
    Enqueue(job);
    const store::v1::JobFinished warm = cluster_->AwaitFinished(name);
    ASSERT_FALSE(warm.dead()) << warm.error();
    EXPECT_EQ(warm.result().metrics().at("items_from_shards"), found);
    models.push_back(warm.result().artefact_blob());
  }
  EXPECT_EQ(models[0], models[1]);
}

TEST_F(WorkerProcessTest, AVersionThatANewProcessCannotLoadIsDeliveredAsSuchAndNotJudged) {
  cluster_->ReplaceTrainer("kill -SEGV $$");
  cluster_->StartWorker();
  store::v1::JobRecord images = cluster_->MakeTrainOcr("train-1", kItems, /*epochs=*/1);
  store::v1::JobRecord pairs = cluster_->MakeTrainReward("train-2", 100);
  for (store::v1::JobRecord* job : {&images, &pairs}) {
    job->set_champion_blob(*cluster_->blobs().Put("acme", "not asked"));
    if (job == &images) (*job->mutable_params())["fresh"] = "1";
    Enqueue(*job);
    const store::v1::JobFinished trained = cluster_->AwaitFinished(job->job());
    ASSERT_FALSE(trained.dead()) << trained.error();
    EXPECT_EQ(trained.result().metrics().at("load_test"), 0);
    EXPECT_EQ(trained.result().metrics().at("load_test.signal"), SIGSEGV);
    EXPECT_EQ(trained.result().evaluation_blob(), "");
    EXPECT_TRUE(*cluster_->blobs().Has("acme", trained.result().artefact_blob()));
  }
  EXPECT_THAT(cluster_->Log(), HasSubstr("load test failed"));
}

TEST_F(WorkerProcessTest, ARebuildGivesTheSameBytes) {
  cluster_->StartWorker();
  for (store::v1::JobRecord job : {cluster_->MakeTrainOcr("train-1", kItems, /*epochs=*/1),
                                   cluster_->MakeTrainReward("train-2", 100)}) {
    Enqueue(job);
    const store::v1::JobFinished first = cluster_->AwaitFinished(job.job());
    ASSERT_FALSE(first.dead()) << first.error();
    job.set_job("re" + job.job());
    (*job.mutable_params())["rebuild"] = "1";
    Enqueue(job);
    const store::v1::JobFinished again = cluster_->AwaitFinished(job.job());
    EXPECT_EQ(again.result().artefact_blob(), first.result().artefact_blob()) << job.kind();
  }
}

TEST_F(WorkerProcessTest, KilledInAnEpochItResumesToTheSameBytes) {
  constexpr int kEpochs = 40;
  cluster_->StartWorker();
  Enqueue(cluster_->MakeTrainOcr("unbroken", kItems, kEpochs));
  const store::v1::JobFinished unbroken = cluster_->AwaitFinished("unbroken");
  ASSERT_FALSE(unbroken.dead()) << unbroken.error();

  Enqueue(cluster_->MakeTrainOcr("killed", kItems, kEpochs));
  ASSERT_TRUE(AwaitTraining()) << cluster_->Log();
  cluster_->SignalWorker(SIGKILL);
  EXPECT_EQ(cluster_->AwaitWorker(), -SIGKILL);
  ASSERT_EQ(Count(&queue::LaneStats::leased), 1) << "the job ended before the kill";
  cluster_->StartWorker();
  const store::v1::JobFinished killed = cluster_->AwaitFinished("killed");
  EXPECT_FALSE(killed.dead()) << killed.error();
  EXPECT_EQ(killed.crashes(), 1);
  EXPECT_EQ(killed.attempts(), 0);
  EXPECT_THAT(cluster_->Log(), HasSubstr("training resumed"));
  EXPECT_EQ(killed.result().artefact_blob(), unbroken.result().artefact_blob());
  EXPECT_EQ(Count(&queue::LaneStats::done), 2);
}

TEST_F(WorkerProcessTest, DrainsWithACheckpointAndExitCode75) {
  cluster_->StartWorker();
  Enqueue(cluster_->MakeTrainOcr("long", kItems, /*epochs=*/2000));
  ASSERT_TRUE(AwaitTraining()) << cluster_->Log();
  EXPECT_TRUE(cluster_->SignalWorker(SIGTERM));
  EXPECT_EQ(cluster_->AwaitWorker(), 75) << cluster_->Log();
  // At once, not when a lease has run out; and it counts as nothing.
  EXPECT_EQ(Count(&queue::LaneStats::ready), 1);
  queue::TickRequest look;
  look.session = "look";
  look.kinds = {"train-ocr"};
  look.want = 1;
  const absl::StatusOr<queue::TickResponse> taken = cluster_->lane().Tick(look);
  ASSERT_TRUE(taken.ok()) << taken.status();
  ASSERT_EQ(taken->leases.size(), 1u);
  EXPECT_EQ(taken->leases[0].attempts, 0);
  EXPECT_EQ(taken->leases[0].crashes, 0);
}

TEST_F(WorkerProcessTest, RedisKilledDuringTrainingCostsNothing) {
  cluster_->StartWorker();
  Enqueue(cluster_->MakeTrainOcr("job", kItems, /*epochs=*/40));
  ASSERT_TRUE(AwaitTraining()) << cluster_->Log();
  ASSERT_TRUE(cluster_->redis().Restart(/*keep_files=*/true).ok());
  const store::v1::JobFinished finished = cluster_->AwaitFinished("job");
  EXPECT_FALSE(finished.dead()) << finished.error();
  EXPECT_EQ(finished.attempts(), 0);
  EXPECT_EQ(Count(&queue::LaneStats::done), 1);
}

TEST_F(WorkerProcessTest, JobWithoutItsManifestFailsWithTheReason) {
  cluster_->StartWorker();
  store::v1::JobRecord job = cluster_->MakeTrainOcr("bad", 8, 1);
  job.set_manifest_blob(std::string(64, 'a'));
  Enqueue(job);
  ASSERT_TRUE(testing::Eventually([&] { return Count(&queue::LaneStats::delayed) == 1; }));
  EXPECT_THAT(cluster_->Log(), HasSubstr("fetching the manifest"));
  EXPECT_TRUE(cluster_->SignalWorker(SIGTERM));
  EXPECT_EQ(cluster_->AwaitWorker(), 0);
}

}  // namespace
}  // namespace fairlead
