// The batch methods on drawn crowds and on input that real files contain.
#include <cmath>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "scheduler/quality/batch/aggregate_classes.h"
#include "scheduler/quality/batch/calibration.h"
#include "scheduler/quality/batch/confusion_em.h"
#include "scheduler/quality/batch/label_matrix.h"
#include "scheduler/quality/beta.h"

namespace fairlead::quality::batch {
namespace {

constexpr Method kAll[] = {Method::kAuto,    Method::kMajority,     Method::kWeighted,
                           Method::kOneCoin, Method::kHierarchical, Method::kDawidSkene};

LabelMatrix Matrix(int tasks, int contractors, int classes, const std::vector<ClassLabel>& labels) {
  return *LabelMatrix::Build(tasks, contractors, classes, labels);
}

std::vector<int32_t> NoGold(const LabelMatrix& labels) {
  return std::vector<int32_t>(labels.tasks(), kUnknown);
}

void ExpectSound(const LabelMatrix& labels, const ClassLabels& result, const std::string& what) {
  SCOPED_TRACE(what);
  ASSERT_EQ(result.label.size(), static_cast<size_t>(labels.tasks()));
  ASSERT_EQ(result.right.size(), static_cast<size_t>(labels.contractors()));
  for (int task = 0; task < labels.tasks(); ++task) {
    EXPECT_GE(result.confidence[task], 0) << task;  // False for NaN.
    EXPECT_LE(result.confidence[task], 1) << task;
    EXPECT_GE(result.label[task], kUnknown);
    EXPECT_LT(result.label[task], labels.classes());
  }
  for (const double right : result.right) {
    EXPECT_GT(right, 0);
    EXPECT_LT(right, 1);
  }
}

// A crowd with contractors of two kinds: `good` of them right with 0.9, the others biased: they say
// class 1 with 0.9 whatever the truth is.
struct Crowd {
  LabelMatrix labels;
  std::vector<int32_t> truth;
};

Crowd BiasedCrowd(int tasks, int good, int biased, uint64_t seed) {
  std::vector<ClassLabel> labels;
  std::vector<int32_t> truth;
  for (int task = 0; task < tasks; ++task) {
    truth.push_back(NextUniform(seed) < 0.5 ? 0 : 1);
    for (int w = 0; w < good + biased; ++w) {
      const bool usual = NextUniform(seed) < 0.9;
      const int32_t says = w < good ? truth[task] : 1;
      labels.push_back({task, w, usual ? says : 1 - says});
    }
  }
  return {Matrix(tasks, good + biased, 2, labels), truth};
}

double Accuracy(const Crowd& crowd, Method method, absl::Span<const int32_t> gold) {
  const ClassLabels result = *AggregateClasses(crowd.labels, gold, method);
  ExpectSound(crowd.labels, result, std::string(MethodName(method)));
  int right = 0;
  for (int task = 0; task < crowd.labels.tasks(); ++task) {
    right += result.label[task] == crowd.truth[task] ? 1 : 0;
  }
  return static_cast<double>(right) / crowd.labels.tasks();
}

TEST(LabelMatrixTest, KeepsTheFirstAnswerAndCountsRepeats) {
  const LabelMatrix labels = Matrix(2, 3, 2, {{1, 2, 0}, {0, 1, 1}, {1, 2, 1}, {1, 0, 1}});
  EXPECT_EQ(labels.repeats(), 1);
  EXPECT_EQ(labels.size(), 3);
  ASSERT_EQ(labels.votes(1).size(), 2u);
  EXPECT_EQ(labels.votes(1)[0].contractor, 0);
  EXPECT_EQ(labels.votes(1)[1].cls, 0);
}

TEST(LabelMatrixTest, NamesTheRowThatIsOutOfRange) {
  const std::vector<ClassLabel> labels = {{0, 0, 0}, {0, 0, 7}};
  const auto built = LabelMatrix::Build(1, 1, 2, labels);
  EXPECT_EQ(built.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(built.status().message().find("labels[1].class"), std::string::npos);
  EXPECT_FALSE(LabelMatrix::Build(1, 1, 0, {}).ok());
}

TEST(AggregateClassesTest, NamesGoldThatDoesNotFit) {
  const LabelMatrix labels = Matrix(2, 1, 2, {{0, 0, 0}});
  const std::vector<int32_t> unknown_class = {kUnknown, 2};
  const auto result = AggregateClasses(labels, unknown_class, Method::kAuto);
  EXPECT_EQ(result.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_NE(result.status().message().find("gold[1]"), std::string::npos);
  EXPECT_FALSE(AggregateClasses(labels, std::vector<int32_t>{}, Method::kAuto).ok());
}

TEST(AggregateClassesTest, MethodNamesReadBack) {
  for (const Method method : kAll) EXPECT_EQ(*ParseMethod(MethodName(method)), method);
  EXPECT_NE(ParseMethod("best").status().message().find("hds"), std::string::npos);
}

TEST(AggregateClassesTest, OddSetsHaveNoNaN) {
  const struct {
    const char* what;
    LabelMatrix labels;
  } cases[] = {
      {"nothing at all", Matrix(0, 0, 1, {})},
      {"tasks without answers", Matrix(3, 2, 2, {})},
      {"a contractor and a task without answers", Matrix(3, 2, 2, {{0, 0, 1}, {1, 0, 0}})},
      {"one class only", Matrix(2, 2, 1, {{0, 0, 0}, {0, 1, 0}, {1, 1, 0}})},
      {"all answers equal", Matrix(3, 2, 3, {{0, 0, 1}, {0, 1, 1}, {1, 0, 1}, {2, 1, 1}})},
      {"one contractor only", Matrix(3, 1, 3, {{0, 0, 0}, {1, 0, 1}, {2, 0, 2}})},
  };
  for (const auto& c : cases) {
    for (const Method method : kAll) {
      const auto result = AggregateClasses(c.labels, NoGold(c.labels), method);
      ASSERT_TRUE(result.ok()) << result.status();
      ExpectSound(c.labels, *result, std::string(c.what) + ", " + std::string(MethodName(method)));
      for (int task = 0; task < c.labels.tasks(); ++task) {
        EXPECT_EQ(result->label[task] == kUnknown, c.labels.votes(task).empty()) << c.what;
      }
    }
  }
}

TEST(AggregateClassesTest, HundredsOfAnswersToOneTaskDoNotUnderflow) {
  std::vector<ClassLabel> answers;
  for (int w = 0; w < 3000; ++w) answers.push_back({0, w, w % 3 == 0 ? 0 : 1});
  const LabelMatrix labels = Matrix(1, 3000, 2, answers);
  for (const Method method : kAll) {
    const ClassLabels result = *AggregateClasses(labels, NoGold(labels), method);
    ExpectSound(labels, result, std::string(MethodName(method)));
    EXPECT_EQ(result.label[0], 1);
  }
}

TEST(AggregateClassesTest, GoldIsPinned) {
  const LabelMatrix labels = Matrix(2, 2, 2, {{0, 0, 1}, {0, 1, 1}, {1, 0, 1}, {1, 1, 0}});
  const std::vector<int32_t> gold = {0, kUnknown};
  for (const Method method : kAll) {
    const ClassLabels result = *AggregateClasses(labels, gold, method);
    EXPECT_EQ(result.label[0], 0) << MethodName(method);
    EXPECT_EQ(result.confidence[0], 1) << MethodName(method);
  }
}

TEST(AggregateClassesTest, ConfusionMatricesSeeABiasThatOutvotes) {
  const Crowd crowd = BiasedCrowd(400, /*good=*/4, /*biased=*/5, 7);
  const std::vector<int32_t> none = NoGold(crowd.labels);
  const double majority = Accuracy(crowd, Method::kMajority, none);
  EXPECT_LT(majority, 0.75);
  EXPECT_GT(Accuracy(crowd, Method::kHierarchical, none), 0.95);
  EXPECT_GT(Accuracy(crowd, Method::kDawidSkene, none), 0.95);
  EXPECT_GT(Accuracy(crowd, Method::kAuto, none), 0.95);
}

TEST(AggregateClassesTest, SparseAnswersDoNotCollapseToOneClass) {
  uint64_t seed = 3;
  std::vector<ClassLabel> answers;
  std::vector<int32_t> truth;
  for (int task = 0; task < 600; ++task) {
    truth.push_back(task % 2);
    for (int i = 0; i < 2; ++i) {
      const int32_t contractor = static_cast<int32_t>(NextRandom(seed) % 60);
      const bool right = NextUniform(seed) < 0.5 + 0.45 * contractor / 60;
      answers.push_back({task, contractor, right ? truth[task] : 1 - truth[task]});
    }
  }
  const Crowd crowd = {Matrix(600, 60, 2, answers), truth};
  const std::vector<int32_t> none = NoGold(crowd.labels);
  const double majority = Accuracy(crowd, Method::kMajority, none);
  EXPECT_GT(Accuracy(crowd, Method::kOneCoin, none), majority - 0.03);
  EXPECT_GT(Accuracy(crowd, Method::kAuto, none), majority - 0.03);
}

TEST(AggregateClassesTest, GoldCalibratesTheConfidence) {
  // Every contractor errs on the same tasks, so that votes overstate what is known.
  uint64_t seed = 11;
  std::vector<ClassLabel> answers;
  std::vector<int32_t> gold;
  int right = 0;
  for (int task = 0; task < 1000; ++task) {
    const int32_t truth = task % 2;
    const bool misleading = NextUniform(seed) < 0.2;
    for (int w = 0; w < 7; ++w) {
      const bool usual = NextUniform(seed) < 0.9;
      answers.push_back({task, w, usual != misleading ? truth : 1 - truth});
    }
    gold.push_back(task < 500 ? truth : kUnknown);
  }
  const LabelMatrix labels = Matrix(1000, 7, 2, answers);
  const ClassLabels raw = *AggregateClasses(labels, NoGold(labels), Method::kOneCoin);
  const ClassLabels fitted = *AggregateClasses(labels, gold, Method::kOneCoin);
  EXPECT_TRUE(fitted.calibrated_on_gold);
  double stated_raw = 0, stated = 0;
  for (int task = 500; task < 1000; ++task) {
    right += fitted.label[task] == task % 2 ? 1 : 0;
    stated_raw += raw.confidence[task] / 500;
    stated += fitted.confidence[task] / 500;
  }
  EXPECT_NEAR(stated, right / 500.0, 0.04);
  EXPECT_GT(stated_raw, right / 500.0 + 0.1);
}

TEST(AggregateClassesTest, ManyClassesFallBackToOneCoin) {
  std::vector<ClassLabel> answers;
  for (int task = 0; task < 3000; ++task) {
    for (int w = 0; w < 3; ++w) answers.push_back({task, w, w < 2 ? task : 2999 - task});
  }
  const LabelMatrix labels = Matrix(3000, 3, 3000, answers);
  ASSERT_FALSE(FitsDense(labels));
  const auto hds = AggregateClasses(labels, NoGold(labels), Method::kHierarchical);
  EXPECT_EQ(hds.status().code(), absl::StatusCode::kResourceExhausted);
  const ClassLabels result = *AggregateClasses(labels, NoGold(labels), Method::kAuto);
  ExpectSound(labels, result, "auto");
  for (int task = 0; task < 3000; ++task) EXPECT_EQ(result.label[task], task);
}

TEST(CalibrationTest, FewCasesAndNaNChangeNothing) {
  EXPECT_TRUE(Calibration::Fit({{0.9, true}, {NAN, false}}).identity());
  EXPECT_EQ(Calibration()(NAN), 0);
  std::vector<StatedConfidence> certain(100, {1.0, true});
  const double mapped = Calibration::Fit(certain)(1.0);
  EXPECT_GT(mapped, 0.95);
  EXPECT_LE(mapped, 1);
}

TEST(CalibrationTest, MapsAStatedConfidenceToWhatIsRight) {
  std::vector<StatedConfidence> cases;
  for (int i = 0; i < 1000; ++i) cases.push_back({0.99, i % 10 != 0});
  EXPECT_NEAR(Calibration::Fit(cases)(0.99), 0.9, 0.01);
}

// Sure of everything and right in seven of eight: whole Newton steps jump to and fro here, and the
// fit said 0.985 (cf_amt).
TEST(CalibrationTest, ConvergesWhereAllConfidencesAreHigh) {
  std::vector<StatedConfidence> cases;
  double right = 0;
  for (int i = 0; i < 150; ++i) {
    const double logit = 4 + 0.03 * i;
    const bool is_right = i % (i < 75 ? 5 : 15) != 0;
    cases.push_back({1 / (1 + std::exp(-logit)), is_right});
    right += is_right ? 1 : 0;
  }
  const Calibration fitted = Calibration::Fit(cases);
  double stated = 0;
  for (const StatedConfidence& c : cases) stated += fitted(c.confidence);
  EXPECT_NEAR(stated / 150, right / 150, 0.015);
  EXPECT_LT(fitted(cases.front().confidence), fitted(cases.back().confidence));
}

}  // namespace
}  // namespace fairlead::quality::batch
