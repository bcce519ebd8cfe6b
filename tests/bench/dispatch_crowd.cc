#include "tests/bench/dispatch_crowd.h"

#include <algorithm>

#include "absl/strings/numbers.h"
#include "absl/strings/str_format.h"

namespace fairlead::bench {
namespace {

struct Project {
  v1::TaskKind kind;
  double alternatives;
  const char* skill;
  double pay_micros;
};

constexpr Project kProjects[] = {
    {v1::TASK_KIND_IMAGE_TEXT, 20, "", 50'000},      {v1::TASK_KIND_CLASS, 4, "", 30'000},
    {v1::TASK_KIND_IMAGE_TEXT, 20, "latin", 60'000}, {v1::TASK_KIND_CLASS, 2, "", 25'000},
    {v1::TASK_KIND_CLASS, 4, "greek", 80'000},       {v1::TASK_KIND_IMAGE_TEXT, 20, "", 45'000},
};
constexpr int64_t kTaskLifeMs = 86'400'000;

}  // namespace

DispatchCrowd::DispatchCrowd(size_t contractors, uint32_t seed) : rng_(seed) {
  std::lognormal_distribution<double> pace(2.7, 0.8);
  people_.resize(contractors);
  for (Person& person : people_) {
    person.skill = 0.55 + 0.44 * std::sqrt(Uniform(0, 1));
    const double seconds = pace(rng_);
    for (quality::ContractorScore* score : {&person.text, &person.classes}) {
      // A fifth are new; the others have up to two hundred judged answers.
      const double answers = rng_() % 5 == 0 ? Uniform(0, 20) : Uniform(20, 200);
      score->right = answers * person.skill;
      score->wrong = answers - score->right;
      for (int i = 0; i < 3; ++i) quality::AddPace(seconds * Uniform(0.5, 2), *score);
      score->accept_shape = Uniform(1, 20);
      score->accept_exposure_seconds = score->accept_shape * Uniform(5, 60);
    }
    person.min_pay_micros = rng_() % 4 == 0 ? Uniform(20'000, 60'000) : 0;
    person.earned_micros = Uniform(0, 2e6);
    person.last_offer_ms = -static_cast<int64_t>(Uniform(0, 600'000));
    person.latin = rng_() % 3 == 0;
    person.greek = rng_() % 10 == 0;
  }
}

std::string DispatchCrowd::NameOf(size_t number) { return absl::StrFormat("%026d", number); }

size_t DispatchCrowd::NumberOf(absl::string_view name) {
  uint64_t number = 0;
  return absl::SimpleAtoi(name, &number) ? number : 0;
}

quality::ContractorScore DispatchCrowd::ScoreOf(absl::string_view name, v1::TaskKind kind) const {
  const Person& person = people_[NumberOf(name)];
  return kind == v1::TASK_KIND_CLASS ? person.classes : person.text;
}

dispatch::FreeIndex::Scores DispatchCrowd::Scores() const {
  return [this](absl::string_view name, v1::TaskKind kind) { return ScoreOf(name, kind); };
}

void DispatchCrowd::Arrive(size_t number, int64_t now_ms, dispatch::FreeIndex& index) const {
  const Person& person = people_[number];
  dispatch::Availability there;
  there.credit = 1;
  there.last_offer_ms =
      person.last_offer_ms > 0 ? person.last_offer_ms : now_ms + person.last_offer_ms;
  there.since_ms = now_ms - 400'000;
  there.until_ms = now_ms + 3'600'000;
  there.min_pay_micros = person.min_pay_micros;
  if (person.latin) there.skills.emplace_back("latin");
  if (person.greek) there.skills.emplace_back("greek");
  index.Put(NameOf(number), there, now_ms);
}

void DispatchCrowd::ArriveAll(int64_t now_ms, dispatch::FreeIndex& index) const {
  for (size_t number = 0; number < people_.size(); ++number) {
    Arrive(number, now_ms, index);
    index.SetEarned(NameOf(number), people_[number].earned_micros, now_ms);
  }
}

void DispatchCrowd::Answered(size_t number, v1::TaskKind kind, int64_t now_ms) {
  Person& person = people_[number];
  store::v1::Evidence evidence;
  evidence.set_right(Uniform(0, 1) < person.skill ? 1 : 0);
  evidence.set_weight(0.7);
  quality::AddEvidence(evidence, now_ms,
                       kind == v1::TASK_KIND_CLASS ? person.classes : person.text);
  person.last_offer_ms = now_ms;
}

std::vector<dispatch::ReadyTask> DispatchCrowd::Tasks(size_t count, int64_t now_ms) {
  std::vector<dispatch::ReadyTask> tasks(count);
  for (dispatch::ReadyTask& task : tasks) {
    const Project& project = kProjects[next_task_ % std::size(kProjects)];
    task.task = absl::StrFormat("t%025d", next_task_++);
    task.kind = project.kind;
    task.alternatives = project.alternatives;
    task.pay_micros = project.pay_micros;
    if (project.skill[0] != '\0') task.required_skills.emplace_back(project.skill);
    task.create_ms = now_ms - static_cast<int64_t>(Uniform(0, kTaskLifeMs));
    task.expire_ms = task.create_ms + kTaskLifeMs;
    task.gold = rng_() % 20 == 0;
    if (!task.gold && rng_() % 3 == 0) task.confidence = Uniform(0.3, 0.95);
    for (int i = 0; i < 2; ++i) task.excluded.insert(NameOf(rng_() % people_.size()));
  }
  return tasks;
}

}  // namespace fairlead::bench
