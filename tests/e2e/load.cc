#include "tests/e2e/load.h"

#include "absl/strings/str_cat.h"
#include "tests/support/eventually.h"
#include "tests/support/status_matchers.h"

namespace fairlead::e2e {

std::unique_ptr<cli::Simulator> LoadTest::StartContractors(cli::Truth* truth, int tasks) {
  for (int i = 0; i < tasks; ++i) truth->Add(ClassItems::Task(i).payload(), ClassItems::Answer(i));
  cli::SimulatorOptions options;
  options.address = cluster().address();
  options.operator_token = cluster().credentials().operator_token;
  options.contractors = 20;
  options.pace = absl::Milliseconds(40);
  auto simulator = cli::Simulator::Start(options, truth);
  EXPECT_OK(simulator) << simulator.status();
  return simulator.ok() ? *std::move(simulator) : nullptr;
}

void LoadTest::RunLoad(const std::map<int, std::function<void()>>& disturb) {
  const std::string project = CreateClassProject("load");
  cli::Truth truth;
  const auto simulator = StartContractors(&truth, kTasks);
  ASSERT_NE(simulator, nullptr);
  cli::ResultsLog results(client(), project);

  std::set<std::string> acknowledged;
  for (int begin = 0; begin < kTasks; begin += kBatch) {
    if (auto found = disturb.find(begin); found != disturb.end()) found->second();
    for (const std::string& name :
         Submit(project, begin, begin + kBatch, absl::StrCat("batch-", begin))) {
      EXPECT_TRUE(acknowledged.insert(name).second) << "acknowledged twice: " << name;
    }
  }
  ASSERT_EQ(acknowledged.size(), kTasks);
  ASSERT_TRUE(results.WaitEnded(kTasks, absl::Seconds(90)))
      << results.ended() << " of " << kTasks << " ended; " << results.status();
  EXPECT_TRUE(simulator->Drain(absl::Seconds(20)));
  CheckOutcomes(results, acknowledged);
  CheckPay(*simulator, project, kTasks);
}

void LoadTest::CheckOutcomes(const cli::ResultsLog& results,
                             const std::set<std::string>& acknowledged) {
  EXPECT_EQ(results.completed(), static_cast<int64_t>(acknowledged.size()));
  EXPECT_EQ(results.repeated(), 0);
  std::set<std::string> ended;
  for (const auto& [name, outcome] : results.outcomes()) ended.insert(name);
  EXPECT_EQ(ended, acknowledged);
}

void LoadTest::CheckPay(const cli::Simulator& simulator, const std::string& project,
                        int64_t tasks) {
  EXPECT_EQ(simulator.counters().changed_receipts, 0);
  std::map<std::string, int64_t> paid;  // By contractor, from the receipts.
  std::map<std::string, std::set<std::string>> receipts;
  for (const cli::ReceiptRecord& receipt : simulator.receipts()) {
    EXPECT_TRUE(receipts[receipt.contractor].insert(receipt.assignment).second);
    paid[receipt.contractor] += receipt.pay_micros;
  }
  int64_t entries_in_all = 0;
  for (const auto& [contractor, micros] : paid) {
    const std::set<std::string> entries = PayEntries(contractor);
    entries_in_all += static_cast<int64_t>(entries.size());
    for (const std::string& assignment : receipts[contractor]) {
      EXPECT_EQ(entries.count(assignment), 1) << "receipt without a pay entry: " << assignment;
    }
    EXPECT_TRUE(BalanceBecomes(contractor, static_cast<int64_t>(entries.size()) * 20'000))
        << contractor;
  }
  v1::GetProjectRequest request;
  request.set_name(project);
  auto now = client().Call(client().projects(), &v1::ProjectService::Stub::GetProject, request);
  ASSERT_OK(now) << now.status();
  EXPECT_EQ(now->counts().annotations(), entries_in_all);
  EXPECT_EQ(now->counts().submitted(), tasks);
  EXPECT_EQ(now->counts().completed(), tasks);
  EXPECT_EQ(now->counts().ready() + now->counts().open() + now->counts().delayed(), 0);
}

std::set<std::string> LoadTest::PayEntries(const std::string& contractor) {
  std::set<std::string> names;
  v1::ListPayEntriesRequest request;
  request.set_contractor(contractor);
  request.set_page_size(1000);
  do {
    auto page = op().Call(op().accounts(), &v1::AccountService::Stub::ListPayEntries, request);
    EXPECT_OK(page) << page.status();
    if (!page.ok()) break;
    for (const v1::PayEntry& entry : page->entries()) {
      EXPECT_TRUE(names.insert(entry.assignment()).second) << "paid twice: " << entry.assignment();
    }
    request.set_page_token(page->next_page_token());
  } while (!request.page_token().empty());
  return names;
}

bool LoadTest::BalanceBecomes(const std::string& contractor, int64_t micros) {
  v1::GetScorecardsRequest request;
  request.set_contractor(contractor);
  return testing::Eventually(absl::Seconds(15), [&] {
    auto card = op().Call(op().accounts(), &v1::AccountService::Stub::GetScorecards, request);
    return card.ok() && card->balance_micros() == micros;
  });
}

}  // namespace fairlead::e2e
