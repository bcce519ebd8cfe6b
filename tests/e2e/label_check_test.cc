// Wrong labels on their way back to people: real contractors who err, a real worker that trains.
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <string>

#include "scheduler/cli/demo_options.h"
#include "scheduler/cli/project_flags.h"
#include "scheduler/cli/results_log.h"
#include "scheduler/cli/simulator.h"
#include "scheduler/cli/submitter.h"
#include "tests/e2e/cluster_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {
namespace {

using ::fairlead::testing::Eventually;

constexpr int kTasks = 1000;

class LabelCheckTest : public ClusterTest {
 protected:
  v1::Model Model() {
    v1::ListModelsRequest request;
    request.set_parent(client().tenant_name());
    auto models = client().Call(client().models(), &v1::ModelService::Stub::ListModels, request);
    return models.ok() && models->models_size() > 0 ? models->models(0) : v1::Model();
  }
};

TEST_F(LabelCheckTest, DoubtedLabelsAreAskedOnceMoreAndComeBackRight) {
  StartCluster(1);
  cli::DemoOptions options;
  options.ocr_tasks = kTasks;
  options.ocr_gold = 60;
  options.pairs = options.pair_gold = options.held_out_pairs = 1;
  const auto tasks = cli::LoadDemoTasks(options);
  ASSERT_OK(tasks);
  cli::ProjectFlags flags;
  flags.kind = "ocr";
  flags.max_answers = 1;  // A wrong answer is a wrong label.
  flags.gold_answers = 1;
  flags.offer_window_seconds = 2;
  flags.work_window_seconds = 20;
  flags.train = true;
  flags.train_after_labels = 300;
  flags.check_after_labels = 9 * kTasks / 10;
  ASSERT_OK(cli::CreateProject(client(), "checked", flags));
  cli::SubmitOptions submit;
  submit.project = client().ProjectName("checked");
  ASSERT_OK(cli::SubmitAll(client(), tasks->gold_ocr, submit));
  const auto names = cli::SubmitAll(client(), tasks->ocr, submit);
  ASSERT_OK(names);
  std::map<std::string, std::string> truth;
  for (size_t i = 0; i < names->size(); ++i) truth[(*names)[i]] = tasks->texts[i];
  cli::ResultsLog log(client(), submit.project);
  cli::SimulatorOptions crowd;
  crowd.address = cluster().address();
  crowd.operator_token = cluster().credentials().operator_token;
  crowd.contractors = 20;
  crowd.accuracy = 0.92;
  crowd.accuracy_sd = 0.02;
  crowd.pace = absl::Milliseconds(100);
  auto simulator = cli::Simulator::Start(crowd, &tasks->truth);
  ASSERT_OK(simulator);
  ASSERT_TRUE(Eventually(absl::Minutes(12), [&] { return Model().doubted_labels() > 0; }))
      << "checked at " << Model().checked_labels() << " labels, ended " << log.ended();
  const int64_t doubted = Model().doubted_labels();
  EXPECT_TRUE(log.WaitEnded(kTasks + doubted, absl::Minutes(2)));
  int64_t checks = 0, was_right = 0, is_right = 0, wrong = 0;
  const auto outcomes = log.outcomes();
  for (const auto& [name, outcome] : outcomes) {
    const std::string& checked = outcome.label.checks();
    if (checked.empty()) {
      wrong += outcome.label.answer().text() != truth[name] ? 1 : 0;
      continue;
    }
    ASSERT_EQ(truth.count(checked), 1u) << checked;
    ++checks;
    EXPECT_GE(outcome.label.answers(), 2);
    was_right += outcomes.at(checked).label.answer().text() == truth[checked] ? 1 : 0;
    is_right += outcome.label.answer().text() == truth[checked] ? 1 : 0;
  }
  std::printf("%lld labels wrong; %lld checked, of which right before %lld, after %lld\n",
              static_cast<long long>(wrong), static_cast<long long>(checks),
              static_cast<long long>(was_right), static_cast<long long>(is_right));
  EXPECT_EQ(checks, doubted);
  EXPECT_LT(2 * was_right, checks);
  EXPECT_GE(10 * is_right, 9 * checks);
  EXPECT_GE(2 * (checks - was_right), wrong) << "of the wrong ones, half at least are found";
}

}  // namespace
}  // namespace fairlead::e2e
