// The loop from labels to models and back, with a worker whose models are scripted: what the
// scheduler asks of workers, and what it makes of what they send. Real scheduler, Redis and gRPC.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include "absl/strings/str_cat.h"
#include "common/queue/redis_job_queue.h"
#include "common/redis/connection.h"
#include "common/rpc/grpc_blob_client.h"
#include "fairlead/store/v1/records.pb.h"
#include "tests/e2e/cluster_fixture.h"
#include "tests/e2e/person.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

using ::fairlead::testing::Eventually;
using store::v1::DatasetManifest;
using store::v1::JobRecord;
using store::v1::JobResult;
using ::testing::ElementsAre;

constexpr int kGold = 80;
constexpr int kRound = 40;

v1::Answer PrefersA() {
  v1::Answer answer;
  answer.set_preferred(v1::Answer::SIDE_A);
  return answer;
}

class ModelLoopTest : public ClusterTest {
 protected:
  void SetUp() override {
    ClusterTest::SetUp();
    StartCluster(0);
    redis::RedisOptions options;
    options.address = absl::StrCat("unix:", cluster().redis_socket());
    pool_ = std::make_unique<redis::ConnectionPool>(options);
    lane_ = std::make_unique<queue::RedisJobQueue>(pool_.get(), "m0");
    auto blobs = GrpcBlobClient::Create(
        {.target = cluster().address(), .token = cluster().credentials().worker_token});
    ASSERT_OK(blobs);
    blobs_ = *std::move(blobs);
    CreateProject();
    ana_ = std::make_unique<Person>(cluster().address(), ContractorToken("ana"));
    ana_->Online(1);
  }

  void CreateProject() {
    v1::CreateProjectRequest request;
    request.set_parent(client().tenant_name());
    request.set_project_id("replies");
    v1::ProjectSettings& settings = *request.mutable_settings();
    settings.mutable_answer_schema()->set_kind(v1::TASK_KIND_PAIR);
    settings.mutable_redundancy()->set_min_answers(1);
    settings.mutable_redundancy()->set_max_answers(1);
    settings.mutable_redundancy()->set_gold_answers(1);
    settings.mutable_model_loop()->set_train(true);
    settings.mutable_model_loop()->set_prelabel(true);
    settings.mutable_model_loop()->set_train_after_labels(kRound);
    settings.mutable_model_loop()->set_auto_accept_accuracy(0.95);
    request.mutable_pay_rate()->set_micros_per_annotation(1);
    request.mutable_pay_rate()->set_currency("EUR");
    ASSERT_OK(
        client().Call(client().projects(), &v1::ProjectService::Stub::CreateProject, request));
  }

  static v1::Task Pair(const std::string& id) {
    v1::Task task;
    v1::Payload::Pair& pair = *task.mutable_payload()->mutable_pair();
    pair.set_prompt("prompt " + id);
    pair.set_response_a("the better reply");
    pair.set_response_b("the other reply");
    return task;
  }
  std::vector<std::string> Submit(const std::string& id, int count) {
    v1::SubmitTasksRequest request;
    request.set_project(client().ProjectName("replies"));
    request.set_request_id(id);
    for (int i = 0; i < count; ++i) *request.add_tasks() = Pair(absl::StrCat(id, "-", i));
    auto response = client().Call(client().tasks(), &v1::TaskService::Stub::SubmitTasks, request);
    EXPECT_OK(response);
    if (!response.ok()) return {};
    return {response->names().begin(), response->names().end()};
  }
  void AddGold() {
    v1::AddGoldRequest request;
    request.set_project(client().ProjectName("replies"));
    request.set_request_id("gold");
    for (int i = 0; i < kGold; ++i) {
      v1::AddGoldRequest::Gold& gold = *request.add_gold();
      *gold.mutable_task() = Pair(absl::StrCat("gold-", i));
      *gold.mutable_answer() = PrefersA();
    }
    ASSERT_OK(client().Call(client().tasks(), &v1::TaskService::Stub::AddGold, request));
  }
  void Answer(int count) {
    for (int i = 0; i < count; ++i) {
      const v1::Offer offer = ana_->NextOffer();
      ASSERT_OK(ana_->Accept(offer));
      ASSERT_OK(ana_->SubmitAnswer(offer, PrefersA()));
    }
  }
  // Answers what is offered until all of these tasks have their label; returns how many answers.
  int AnswerUntilCompleted(const std::vector<std::string>& tasks) {
    int answers = 0;
    EXPECT_TRUE(Eventually(absl::Seconds(30), [&] {
      if (const auto offer = ana_->TryNextOffer()) {
        EXPECT_OK(ana_->Accept(*offer));
        EXPECT_OK(ana_->SubmitAnswer(*offer, PrefersA()));
        ++answers;
        return false;
      }
      return std::all_of(tasks.begin(), tasks.end(), [&](const std::string& task) {
        return Get(task).state() == v1::Task::COMPLETED;
      });
    }));
    return answers;
  }
  v1::Task Get(const std::string& name) {
    v1::GetTaskRequest request;
    request.set_name(name);
    auto task = client().Call(client().tasks(), &v1::TaskService::Stub::GetTask, request);
    EXPECT_OK(task);
    return task.ok() ? *task : v1::Task();
  }

  // The next job of a kind. What the worker held before is acked with `result`.
  queue::Lease Lease(const std::string& kind) {
    queue::TickRequest request;
    request.session = "scripted";
    request.kinds = {kind};
    request.able.device = "cpu";
    request.want = 1;
    request.lease = absl::Minutes(5);
    queue::Lease lease;
    EXPECT_TRUE(Eventually(absl::Seconds(20),
                           [&] {
                             auto response = lane_->Tick(request);
                             if (!response.ok() || response->leases.empty()) return false;
                             lease = response->leases[0];
                             return true;
                           }))
        << "no job of kind " << kind;
    return lease;
  }
  void Ack(const queue::Lease& lease, const JobResult& result) {
    queue::TickRequest request;
    request.session = "scripted";
    request.kinds = {lease.job.kind()};
    request.able.device = "cpu";
    request.lease = absl::Minutes(5);
    request.acks = {{lease.token, result}};
    ASSERT_OK(lane_->Tick(request));
  }
  std::string Put(const JobRecord& job, const std::string& bytes) {
    auto id = blobs_->ForJob(job.job())->Put(job.tenant(), bytes);
    EXPECT_OK(id);
    return id.ok() ? *id : "";
  }
  template <typename T>
  T Fetch(const JobRecord& job) {
    T message;
    auto bytes = blobs_->ForJob(job.job())->Get(job.tenant(), job.manifest_blob());
    EXPECT_OK(bytes);
    EXPECT_TRUE(bytes.ok() && message.ParseFromString(*bytes));
    return message;
  }

  // Trains a model that is right on everything, beside a champion that is right on half of it.
  std::string Train(const queue::Lease& lease, const std::string& artefact) {
    JobResult result;
    result.set_artefact_blob(Put(lease.job, artefact));
    (*result.mutable_metrics())["test.count"] = kGold;
    (*result.mutable_metrics())["test.pair_accuracy"] = 0.99;
    (*result.mutable_metrics())["load_test"] = 1;
    if (!lease.job.champion_blob().empty()) {
      store::v1::Evaluation evaluation;
      evaluation.set_champion_blob(lease.job.champion_blob());
      int n = 0;
      const auto manifest = Fetch<DatasetManifest>(lease.job);
      for (const auto& item : manifest.items()) {
        if (item.split() != DatasetManifest::TEST && item.split() != DatasetManifest::WINDOW) {
          continue;
        }
        store::v1::Evaluation::Item& read = *evaluation.add_items();
        read.set_id(item.id());
        read.mutable_version()->set_right(1);
        read.mutable_version()->set_loss(0.01);
        read.mutable_version()->set_confidence(0.99);
        read.mutable_champion()->set_right(n++ % 2);
        read.mutable_champion()->set_loss(0.7);
        read.mutable_champion()->set_confidence(0.5);
      }
      result.set_evaluation_blob(Put(lease.job, evaluation.SerializeAsString()));
    }
    Ack(lease, result);
    return result.artefact_blob();
  }
  v1::Model AwaitChampion(const std::string& version) {
    v1::Model model;
    EXPECT_TRUE(Eventually(absl::Seconds(20), [&] {
      v1::ListModelsRequest request;
      request.set_parent(client().tenant_name());
      auto models = client().Call(client().models(), &v1::ModelService::Stub::ListModels, request);
      if (!models.ok() || models->models_size() != 1) return false;
      model = models->models(0);
      return model.champion() == version;
    })) << model.champion();
    return model;
  }
  // Prelabels what a job asks for, in doubt or not.
  void Prelabel(double confidence) {
    const queue::Lease lease = Lease("prelabel-reward");
    const auto manifest = Fetch<store::v1::PrelabelManifest>(lease.job);
    JobResult result;
    for (const auto& item : manifest.items()) {
      store::v1::PrelabelRecord& record = *result.add_prelabels();
      record.set_task(item.task());
      *record.mutable_answer() = PrefersA();
      record.set_confidence(confidence);
      record.set_model_version(lease.job.version());
      const auto shadow = lease.job.params().find("shadow_version");
      if (shadow == lease.job.params().end()) continue;
      record.mutable_shadow_answer()->set_preferred(v1::Answer::SIDE_B);
      record.set_shadow_version(shadow->second);
    }
    prelabel_job_ = lease.job;
    Ack(lease, result);
  }

  static constexpr char kModel[] = "tenants/dev/models/replies";
  std::string Version(int n) { return absl::StrCat(kModel, "/versions/", n); }
  v1::ModelVersion Show(int n) {
    v1::ListModelVersionsRequest request;
    request.set_parent(kModel);
    auto versions =
        client().Call(client().models(), &v1::ModelService::Stub::ListModelVersions, request);
    EXPECT_OK(versions);
    for (int i = 0; versions.ok() && i < versions->versions_size(); ++i) {
      if (versions->versions(i).name() == Version(n)) return versions->versions(i);
    }
    return {};
  }

  std::unique_ptr<redis::ConnectionPool> pool_;
  std::unique_ptr<queue::RedisJobQueue> lane_;
  std::unique_ptr<GrpcBlobClient> blobs_;
  std::unique_ptr<Person> ana_;
  JobRecord prelabel_job_;  // The last one.
};

TEST_F(ModelLoopTest, AProvenChampionDecidesAloneBesideItsShadowAndDeletedAnswersAreGone) {
  AddGold();
  const std::vector<std::string> first = Submit("first", kRound);
  Answer(kGold + kRound);
  const std::string shadow = Train(Lease("train-reward"), "model one");
  AwaitChampion(Version(1));

  Submit("second", kRound);
  Prelabel(0.6);
  EXPECT_FALSE(prelabel_job_.params().contains("shadow_version")) << "nothing came before it";
  Answer(kRound);
  const std::string artefact = Train(Lease("train-reward"), "model two");
  AwaitChampion(Version(2));
  EXPECT_NEAR(Show(2).metrics().at("auto_accept.from"), 0.99, 1e-9);

  const std::vector<std::string> third = Submit("third", kRound);
  Prelabel(0.995);
  EXPECT_EQ(prelabel_job_.version(), Version(2));
  EXPECT_EQ(prelabel_job_.params().at("shadow_version"), Version(1));
  EXPECT_THAT(prelabel_job_.inputs(), ElementsAre(shadow));
  const int answered = AnswerUntilCompleted(third);
  int by_people = 0;
  for (const std::string& task : third) {
    const v1::Label label = Get(task).label();
    by_people += label.answers();
    EXPECT_EQ(label.aggregation() == "prelabel/1", label.answers() == 0) << task;
  }
  EXPECT_EQ(by_people, answered);
  EXPECT_LT(by_people, kRound / 2) << "a tenth goes to people";

  // Of the first round's labels one answer is deleted: what was trained from it is trained again
  // without it, and said to be another thing.
  v1::DeleteAnnotationRequest deletion;
  deletion.set_name(first[0]);
  deletion.set_contractor("contractors/ana");
  ASSERT_OK(client().Call(client().tasks(), &v1::TaskService::Stub::DeleteAnnotation, deletion));
  v1::RebuildModelRequest rebuild;
  rebuild.set_version(Version(2));
  ASSERT_OK(client().Call(client().models(), &v1::ModelService::Stub::RebuildModel, rebuild));
  const queue::Lease again = Lease("train-reward");
  EXPECT_TRUE(again.job.params().contains("rebuild"));
  const std::string deleted = first[0].substr(first[0].rfind('/') + 1);
  const auto manifest = Fetch<DatasetManifest>(again.job);
  EXPECT_EQ(manifest.items_size(), kGold + 2 * kRound - 1);
  for (const auto& item : manifest.items()) EXPECT_NE(item.id(), deleted);
  EXPECT_NE(Train(again, "model two without it"), artefact);
  ASSERT_TRUE(Eventually(absl::Seconds(20), [&] {
    return Show(2).rebuild().state() == v1::ModelVersion::Rebuild::DIFFERENT;
  }));
  EXPECT_EQ(Show(2).rebuild().deleted_items(), 1);
}

}  // namespace
}  // namespace fairlead::e2e
