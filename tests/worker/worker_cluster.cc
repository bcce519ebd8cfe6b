#include "tests/worker/worker_cluster.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <random>
#include <sstream>
#include <utility>

#include <gtest/gtest.h>
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "common/queue/job_codec.h"
#include "common/redis/keys.h"
#include "tests/support/eventually.h"

namespace fairlead::testing {
namespace {

constexpr char kToken[] = "worker-secret";
constexpr char kTenant[] = "acme";
constexpr int kGlyphWidth = 14;
constexpr int kHeight = 32;

void FillBox(GrayImage* image, int x0, int y0, int x1, int y1) {
  for (int y = y0; y < y1; ++y) {
    for (int x = x0; x < x1; ++x) image->pixels[y * image->width + x] = 20;
  }
}

// The polite answer is A's for even i.
v1::Payload::Pair PoliteAndRude(int i) {
  const std::string topic = absl::StrCat("question number ", i * 7 % 31);
  const std::string polite = absl::StrCat("Thank you, gladly: the reply to ", topic, " is yes.");
  const std::string rude = absl::StrCat("No idea, go away with your ", topic, " please not.");
  v1::Payload::Pair pair;
  pair.set_prompt(topic);
  pair.set_response_a(i % 2 == 0 ? polite : rude);
  pair.set_response_b(i % 2 == 0 ? rude : polite);
  return pair;
}

std::string TextOf(int i) {
  static const char* const kTexts[] = {"01", "10", "17", "71", "07", "70", "11", "00"};
  return kTexts[(i / 8 + i) % 8];
}

}  // namespace

bool Eventually(const std::function<bool()>& condition) {
  return testing::Eventually(absl::Minutes(2), condition);
}

GrayImage DrawDigits(const std::string& text, uint64_t seed) {
  std::mt19937_64 random(seed);
  GrayImage image;
  image.width = kGlyphWidth * static_cast<int>(text.size()) + 8;
  image.height = kHeight;
  image.pixels.assign(static_cast<size_t>(image.width) * image.height, 235);
  for (size_t i = 0; i < text.size(); ++i) {
    const int x = 5 + static_cast<int>(i) * kGlyphWidth + static_cast<int>(random() % 2);
    const int y = 5 + static_cast<int>(random() % 3);
    if (text[i] == '1') FillBox(&image, x + 4, y, x + 7, y + 20);
    if (text[i] == '7') {
      FillBox(&image, x, y, x + 10, y + 3);
      FillBox(&image, x + 7, y, x + 10, y + 20);
    }
    if (text[i] == '0') {
      FillBox(&image, x, y, x + 3, y + 20);
      FillBox(&image, x + 7, y, x + 10, y + 20);
      FillBox(&image, x, y, x + 10, y + 3);
      FillBox(&image, x, y + 17, x + 10, y + 20);
    }
  }
  for (uint8_t& pixel : image.pixels) pixel = static_cast<uint8_t>(pixel + random() % 16);
  return image;
}

std::unique_ptr<WorkerCluster> WorkerCluster::Create() {
  auto cluster = std::make_unique<WorkerCluster>();
  std::string path = (std::filesystem::temp_directory_path() / "fairlead-worker-XXXXXX").string();
  EXPECT_NE(mkdtemp(path.data()), nullptr);
  cluster->directory_ = path;
  auto redis = RedisServer::Start();
  EXPECT_TRUE(redis.ok()) << redis.status();
  if (!redis.ok()) return nullptr;
  cluster->redis_ = std::move(redis).value();
  cluster->pool_ = std::make_unique<redis::ConnectionPool>(cluster->redis_->client_options());
  cluster->lane_ = std::make_unique<queue::RedisJobQueue>(cluster->pool_.get(), "m0");
  EXPECT_TRUE(cluster->pool_->Call({"SET", redis::IncarnationKey("m0"), "1-a"}).ok());
  cluster->blob_server_ = std::make_unique<BlobServer>(path + "/grpc.sock", kToken);
  std::ofstream(path + "/token") << kToken << "\n";
  return cluster;
}

WorkerCluster::~WorkerCluster() {
  if (worker_ > 0) {
    SignalWorker(SIGKILL);
    AwaitWorker();
  }
  std::error_code ignored;
  std::filesystem::remove_all(directory_, ignored);
}

void WorkerCluster::ReplaceTrainer(const std::string& script) {
  const std::string folder = directory_ + "/bin", trainer = folder + "/fairlead-trainer";
  std::filesystem::create_directory(folder);
  worker_binary_ = folder + "/fairlead-worker";
  std::filesystem::copy_file(FAIRLEAD_WORKER_BINARY, worker_binary_);
  std::ofstream(trainer) << "#!/bin/sh\n" << script << "\n";
  std::filesystem::permissions(trainer, std::filesystem::perms::owner_all);
}

void WorkerCluster::StartWorker() {
  const std::vector<std::string> line = {worker_binary_,
                                         "--redis",
                                         redis_->address(),
                                         "--scheduler",
                                         blob_server_->target(),
                                         "--token_file",
                                         directory_ + "/token",
                                         "--scratch",
                                         directory_ + "/scratch",
                                         "--lease_seconds",
                                         "1.5",
                                         "--checkpoint_seconds",
                                         "0",
                                         "--nice",  // Tests wait for it.
                                         "0"};
  std::vector<char*> argv;
  for (const std::string& argument : line) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const std::string log = directory_ + "/log";
  worker_ = fork();
  ASSERT_GE(worker_, 0);
  if (worker_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int fd = open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    dup2(fd, STDOUT_FILENO);
    dup2(fd, STDERR_FILENO);
    execv(argv[0], argv.data());
    _exit(127);
  }
}

bool WorkerCluster::SignalWorker(int signal) { return worker_ > 0 && kill(worker_, signal) == 0; }

int WorkerCluster::AwaitWorker() {
  int status = 0;
  while (waitpid(worker_, &status, 0) < 0 && errno == EINTR) {
  }
  worker_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

std::string WorkerCluster::Log() const {
  std::ifstream file(directory_ + "/log");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<store::v1::JobFinished> WorkerCluster::Finished() {
  std::vector<store::v1::JobFinished> all;
  const absl::StatusOr<redis::Reply> events =
      pool_->Call({"XRANGE", redis::EventsKey("m0"), "-", "+"});
  if (!events.ok()) return all;
  for (const redis::Reply& event : events->elements) {
    std::map<std::string, std::string> fields;
    const std::vector<redis::Reply>& list = event.elements[1].elements;
    std::vector<absl::string_view> ended;  // What stands behind "classes".
    for (size_t i = 0; i + 1 < list.size(); i += 2) {
      if (fields.count("classes") > 0) {
        ended.insert(ended.end(), {list[i].text, list[i + 1].text});
      } else {
        fields[list[i].text] = list[i + 1].text;
      }
    }
    const auto jobs = queue::DecodeEnded(fields["k"], fields["classes"], ended);
    EXPECT_TRUE(jobs.ok()) << jobs.status();
    if (jobs.ok()) all.insert(all.end(), jobs->begin(), jobs->end());
  }
  return all;
}

store::v1::JobFinished WorkerCluster::AwaitFinished(const std::string& job) {
  store::v1::JobFinished found;
  const bool ended = Eventually([&] {
    lane_->Reap(10).status().IgnoreError();  // The scheduler's part.
    for (const store::v1::JobFinished& one : Finished()) {
      if (one.job().job() == job) found = one;
    }
    return found.has_job();
  });
  EXPECT_TRUE(ended) << "job " << job << " did not end; the worker said:\n" << Log();
  return found;
}

store::v1::JobRecord WorkerCluster::MakeTrainOcr(const std::string& job, int count, int epochs) {
  store::v1::DatasetManifest manifest;
  manifest.set_model("acme/ocr");
  for (int i = 0; i < count; ++i) {
    store::v1::DatasetManifest::Item& item = *manifest.add_items();
    item.set_id(absl::StrCat("item-", 1000 + i));
    const std::string png = *EncodePng(DrawDigits(TextOf(i), i));
    item.mutable_payload()->mutable_image_text()->set_blob(*blobs().Put(kTenant, png));
    item.mutable_answer()->set_text(TextOf(i));
    item.set_weight(1);
    item.set_split(i % 8 < 6    ? store::v1::DatasetManifest::TRAIN
                   : i % 8 == 6 ? store::v1::DatasetManifest::VALIDATION
                                : store::v1::DatasetManifest::TEST);
  }
  store::v1::JobRecord record;
  record.set_job(job);
  record.set_kind("train-ocr");
  record.set_tenant(kTenant);
  record.set_manifest_blob(*blobs().Put(kTenant, manifest.SerializeAsString()));
  auto& params = *record.mutable_params();
  params["epochs"] = absl::StrCat(epochs);
  params["batch"] = "8";
  params["seed"] = "5";
  params["variant"] = "tiny";
  params["image_height"] = "32";
  params["image_width"] = "48";
  return record;
}

store::v1::JobRecord WorkerCluster::MakePrelabelOcr(const std::string& job,
                                                    const std::string& model, int count) {
  store::v1::PrelabelManifest manifest;
  manifest.set_model_version("tenants/acme/models/ocr/versions/1");
  for (int i = 0; i < count; ++i) {
    store::v1::PrelabelManifest::Item& item = *manifest.add_items();
    item.set_task(absl::StrCat("task-", i));
    const std::string png = *EncodePng(DrawDigits(TextOf(i), 5000 + i));
    item.mutable_payload()->mutable_image_text()->set_blob(*blobs().Put(kTenant, png));
  }
  store::v1::PrelabelManifest::Item& broken = *manifest.add_items();
  broken.set_task("task-broken");
  broken.mutable_payload()->mutable_image_text()->set_blob(*blobs().Put(kTenant, "no image"));
  store::v1::JobRecord record;
  record.set_job(job);
  record.set_kind("prelabel-ocr");
  record.set_tenant(kTenant);
  record.set_manifest_blob(*blobs().Put(kTenant, manifest.SerializeAsString()));
  record.set_champion_blob(model);
  return record;
}

store::v1::JobRecord WorkerCluster::MakeTrainReward(const std::string& job, int count) {
  store::v1::DatasetManifest manifest;
  manifest.set_model("acme/reward");
  for (int i = 0; i < count; ++i) {
    store::v1::DatasetManifest::Item& item = *manifest.add_items();
    item.set_id(absl::StrCat("pair-", 1000 + i));
    *item.mutable_payload()->mutable_pair() = PoliteAndRude(i);
    item.mutable_answer()->set_preferred(i % 2 == 0 ? v1::Answer::SIDE_A : v1::Answer::SIDE_B);
    item.set_weight(1);
    item.set_split(i % 5 == 4    ? store::v1::DatasetManifest::VALIDATION
                   : i % 10 == 3 ? store::v1::DatasetManifest::WINDOW
                                 : store::v1::DatasetManifest::TRAIN);
  }
  store::v1::JobRecord record;
  record.set_job(job);
  record.set_kind("train-reward");
  record.set_tenant(kTenant);
  record.set_manifest_blob(*blobs().Put(kTenant, manifest.SerializeAsString()));
  return record;
}

store::v1::JobRecord WorkerCluster::MakePrelabelReward(const std::string& job,
                                                       const std::string& model, int count) {
  store::v1::PrelabelManifest manifest;
  for (int i = 0; i < count; ++i) {
    store::v1::PrelabelManifest::Item& item = *manifest.add_items();
    item.set_task(absl::StrCat("task-", i));
    *item.mutable_payload()->mutable_pair() = PoliteAndRude(i);
  }
  store::v1::JobRecord record;
  record.set_job(job);
  record.set_kind("prelabel-reward");
  record.set_tenant(kTenant);
  record.set_version("tenants/acme/models/reward/versions/3");
  record.set_manifest_blob(*blobs().Put(kTenant, manifest.SerializeAsString()));
  record.set_champion_blob(model);
  return record;
}

}  // namespace fairlead::testing
