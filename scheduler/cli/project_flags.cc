#include "scheduler/cli/project_flags.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "google/protobuf/util/time_util.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

using google::protobuf::util::TimeUtil;

const std::map<std::string, v1::TaskKind>& Kinds() {
  static const auto* const kinds = new std::map<std::string, v1::TaskKind>{
      {"ocr", v1::TASK_KIND_IMAGE_TEXT}, {"class", v1::TASK_KIND_CLASS},
      {"pair", v1::TASK_KIND_PAIR},      {"ranking", v1::TASK_KIND_RANKING},
      {"rating", v1::TASK_KIND_RATING},  {"free-text", v1::TASK_KIND_FREE_TEXT}};
  return *kinds;
}

}  // namespace

void DeclareProjectFlags(CLI::App* command, ProjectFlags& flags, bool with_kind) {
  if (with_kind) {
    command->add_option("--kind", flags.kind, "ocr, class, pair, ranking, rating or free-text");
  }
  command->add_option("--pay", flags.pay_micros, "Pay an accepted answer, in millionths");
  command->add_option("--budget", flags.budget_micros,
                      "Pay of all answers at most, in millionths; 0: no limit");
  command->add_option("--currency", flags.currency, "ISO 4217");
  command->add_option("--min-answers", flags.min_answers, "Answers at least");
  command->add_option("--max-answers", flags.max_answers, "Answers at most");
  command->add_option("--target", flags.target_confidence, "Confidence that ends a task");
  command->add_option("--adjudicate-below", flags.adjudicate_below,
                      "Confidence below which one of proven quality is asked as well; 0: never");
  command->add_option("--adjudicate-priority", flags.adjudicate_priority,
                      "Tasks of this priority and before it always get one of proven quality too");
  command->add_option("--gold-answers", flags.gold_answers,
                      "Answers wanted on a gold task; 0 means 3, of a test 1,000");
  command->add_option("--offer-window", flags.offer_window_seconds, "Seconds to accept");
  command->add_option("--work-window", flags.work_window_seconds, "Seconds to submit");
  command->add_option("--parallel-offers", flags.parallel_offers,
                      "Offers of one place at a time at most, where few accept; 1 to 4");
  command->add_flag("--duplicate-stragglers", flags.duplicate_stragglers,
                    "Ask somebody else beside work that takes too long; both are paid");
  command->add_flag("--review", flags.review,
                    "free-text: another contractor accepts, edits or rejects each text");
  command->add_option("--class", flags.classes, "class: a name; repeat it");
  command->add_option("--alphabet", flags.alphabet, "ocr: characters an answer may hold");
  command->add_option("--max-text-length", flags.max_text_length, "ocr: characters at most");
  command->add_option("--min-rating", flags.min_rating, "rating: lowest");
  command->add_option("--max-rating", flags.max_rating, "rating: highest");
  command->add_flag("--allow-tie", flags.allow_tie, "pair: neither is better");
  command->add_option("--guidelines", flags.guidelines, "Text shown to contractors");
  command->add_flag("--train", flags.train, "Train a model from the labels");
  command->add_flag("--prelabel", flags.prelabel, "Prelabel waiting tasks with the champion");
  command->add_option("--train-after", flags.train_after_labels, "New labels that start a round");
  command->add_option("--check-after", flags.check_after_labels,
                      "ocr: new labels after which doubtful ones go to people again; 0 never");
  command->add_flag("--show-prelabel", flags.show_prelabel, "Show prelabels to contractors");
  command->add_option("--blind-share", flags.blind_share,
                      "Share of tasks whose prelabel is not shown all the same; 0 means 0.1");
  command->add_option("--auto-accept", flags.auto_accept_accuracy,
                      "Complete tasks on prelabels proven right this often; 0 never");
  command->add_option(
      "--skill", flags.skills,
      "A skill that contractors need; proven by a test where there is one; repeat it");
  command->add_option("--test-skill", flags.test_skill,
                      "The project is a test of this skill: its tasks are gold, who passes has it");
  command->add_option("--questions", flags.questions, "Test: answers of a take");
  command->add_option("--pass-mark", flags.pass_mark, "Test: share of right answers that passes");
  command->add_option("--retake-after", flags.retake_after_days,
                      "Test: days after which it may be taken again; 0 at once");
  command->add_option("--takes", flags.takes, "Test: takes a contractor has");
}

absl::StatusOr<v1::ProjectSettings> SettingsFrom(const ProjectFlags& flags) {
  const auto kind = Kinds().find(flags.kind);
  if (kind == Kinds().end()) {
    return FieldError("kind", absl::StrCat("\"", flags.kind,
                                           "\" is none of ocr, class, pair, ranking, rating, "
                                           "free-text"));
  }
  v1::ProjectSettings settings;
  auto* schema = settings.mutable_answer_schema();
  schema->set_kind(kind->second);
  if (kind->second == v1::TASK_KIND_IMAGE_TEXT) {
    schema->set_max_text_length(flags.max_text_length);
    schema->set_alphabet(flags.alphabet);
  }
  for (const std::string& name : flags.classes) schema->add_classes(name);
  if (kind->second == v1::TASK_KIND_RATING) {
    schema->set_min_rating(flags.min_rating);
    schema->set_max_rating(flags.max_rating);
  }
  schema->set_allow_tie(flags.allow_tie);
  settings.set_guidelines(flags.guidelines);
  settings.set_budget_micros(flags.budget_micros);
  settings.mutable_redundancy()->set_min_answers(flags.min_answers);
  settings.mutable_redundancy()->set_max_answers(flags.max_answers);
  settings.mutable_redundancy()->set_target_confidence(flags.target_confidence);
  settings.mutable_redundancy()->set_gold_answers(flags.gold_answers);
  settings.mutable_redundancy()->set_adjudicate_below(flags.adjudicate_below);
  if (flags.adjudicate_priority >= 0) {
    settings.mutable_redundancy()->set_adjudicate_priority(flags.adjudicate_priority);
  }
  *settings.mutable_offer_window() =
      TimeUtil::MillisecondsToDuration(static_cast<int64_t>(flags.offer_window_seconds * 1e3));
  *settings.mutable_work_window() =
      TimeUtil::MillisecondsToDuration(static_cast<int64_t>(flags.work_window_seconds * 1e3));
  settings.set_review(flags.review);
  settings.set_parallel_offers(flags.parallel_offers);
  settings.set_duplicate_stragglers(flags.duplicate_stragglers);
  settings.mutable_model_loop()->set_train(flags.train);
  settings.mutable_model_loop()->set_prelabel(flags.prelabel);
  settings.mutable_model_loop()->set_train_after_labels(flags.train_after_labels);
  settings.mutable_model_loop()->set_check_after_labels(flags.check_after_labels);
  settings.mutable_model_loop()->set_show_prelabel(flags.show_prelabel);
  settings.mutable_model_loop()->set_blind_share(flags.blind_share);
  settings.mutable_model_loop()->set_auto_accept_accuracy(flags.auto_accept_accuracy);
  for (const std::string& skill : flags.skills) settings.add_required_skills(skill);
  if (flags.test_skill.empty()) return settings;
  v1::QualificationTest& test = *settings.mutable_qualification();
  test.set_skill(flags.test_skill);
  test.set_questions(flags.questions);
  test.set_pass_mark(flags.pass_mark);
  test.set_takes(flags.takes);
  *test.mutable_retake_after() =
      TimeUtil::MillisecondsToDuration(static_cast<int64_t>(flags.retake_after_days * 86'400e3));
  return settings;
}

absl::StatusOr<v1::Project> CreateProject(const Client& client, const std::string& project,
                                          const ProjectFlags& flags) {
  v1::CreateProjectRequest request;
  ASSIGN_OR_RETURN(*request.mutable_settings(), SettingsFrom(flags));
  request.set_parent(client.tenant_name());
  request.set_project_id(LastPart(project));
  request.mutable_pay_rate()->set_micros_per_annotation(flags.pay_micros);
  request.mutable_pay_rate()->set_currency(flags.currency);
  return client.Call(client.projects(), &v1::ProjectService::Stub::CreateProject, request);
}

}  // namespace fairlead::cli
