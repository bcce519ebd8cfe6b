// Real answers (Snow et al. 2008, recognising textual entailment): learned weights against
// majority.
#include <cstdlib>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/quality/aggregation.h"
#include "scheduler/quality/score.h"

namespace fairlead::quality {
namespace {

std::vector<std::vector<std::string>> ReadCsv(const std::string& path) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream in(path);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::vector<std::string> row;
    std::stringstream cells(line);
    for (std::string cell; std::getline(cells, cell, ',');) row.push_back(cell);
    rows.push_back(row);
  }
  return rows;
}

TEST(CrowdTest, LearnedWeightsAreAtLeastAsGoodAsMajorityOnRte) {
  const char* shared = std::getenv("FAIRLEAD_SHARED");
  const std::string root = shared != nullptr ? shared : FAIRLEAD_SOURCE_DIR "/../shared";
  const auto labels = ReadCsv(root + "/data/crowd/snow_rte/labels.csv");
  if (labels.empty())
    GTEST_SKIP() << "needs " << root << "/data/crowd/snow_rte (set FAIRLEAD_SHARED)";
  std::map<std::string, std::string> truth;
  for (const auto& row : ReadCsv(root + "/data/crowd/snow_rte/truth.csv")) truth[row[0]] = row[1];
  v1::AnswerSchema schema;
  schema.set_kind(v1::TASK_KIND_CLASS);
  schema.add_classes(std::string("0"));
  schema.add_classes(std::string("1"));
  std::map<std::string, std::vector<Vote>> tasks;
  for (const auto& row : labels) {
    std::vector<Vote>& votes = tasks[row[0]];
    if (votes.size() == 5) continue;  // Five answers a task, as by default.
    Vote vote;
    vote.contractor = row[1];
    vote.answer.set_class_name(row[2]);
    votes.push_back(vote);
  }
  std::map<std::string, ContractorScore> scores;
  const auto weigh = [&](std::vector<Vote> votes) {
    for (Vote& vote : votes) vote.quality = QualityMean(scores[vote.contractor]);
    return votes;
  };
  for (const auto& [task, votes] : tasks) {
    for (const auto& e : Judge(schema, weigh(votes), std::nullopt, nullptr)) {
      AddEvidence(e, 1, scores[e.contractor()]);
    }
  }
  int weighted = 0, majority = 0;
  for (const auto& [task, votes] : tasks) {
    weighted += Aggregate(schema, weigh(votes), std::nullopt).answer.class_name() == truth[task];
    majority += Aggregate(schema, votes, std::nullopt).answer.class_name() == truth[task];
  }
  std::printf("snow_rte, 5 answers a task: weighted %d, majority %d of %zu\n", weighted, majority,
              tasks.size());
  EXPECT_GE(weighted, majority);
}

}  // namespace
}  // namespace fairlead::quality
