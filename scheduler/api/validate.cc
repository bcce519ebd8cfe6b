#include "scheduler/api/validate.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/ids.h"
#include "common/base/status.h"
#include "common/image/image.h"
#include "scheduler/dispatch/matching.h"
#include "scheduler/quality/answer.h"

namespace fairlead::api {
namespace {

constexpr size_t kText = 16 << 10;
constexpr int64_t kMostMicros = 1'000'000'000'000'000;
// Who has had a question stands with it until it is complete, and is read when it is offered: with
// 2,000 answers to each of 50 questions 10,000 contractors can take a test of ten.
constexpr int kMostTestAnswers = 2'000;

absl::Status CheckLength(absl::string_view field, absl::string_view text, size_t most) {
  if (text.size() <= most) return absl::OkStatus();
  return FieldError(
      field, absl::StrCat("is ", text.size(), " bytes long, at most ", most, " are allowed"));
}

absl::Status CheckDuration(absl::string_view field, google::protobuf::Duration* duration,
                           int64_t default_ms, int64_t least_ms, int64_t most_ms) {
  const int64_t ms = duration->seconds() * 1000 + duration->nanos() / 1'000'000;
  if (duration->seconds() == 0 && duration->nanos() == 0) {
    duration->set_seconds(default_ms / 1000);
    duration->set_nanos(static_cast<int32_t>(default_ms % 1000) * 1'000'000);
    return absl::OkStatus();
  }
  if (duration->seconds() > most_ms / 1000 || ms < least_ms || ms > most_ms) {
    return FieldError(field, absl::StrCat("must be ", least_ms, " ms to ", most_ms, " ms"));
  }
  return absl::OkStatus();
}

absl::Status CheckSchema(v1::AnswerSchema& schema) {
  switch (schema.kind()) {
    case v1::TASK_KIND_IMAGE_TEXT:
      if (schema.max_text_length() == 0) schema.set_max_text_length(64);
      if (schema.max_text_length() < 1 || schema.max_text_length() > 256) {
        return FieldError("settings.answer_schema.max_text_length", "must be 1 to 256");
      }
      return CheckLength("settings.answer_schema.alphabet", schema.alphabet(), 4096);
    case v1::TASK_KIND_CLASS: {
      const std::set<std::string> distinct(schema.classes().begin(), schema.classes().end());
      if (schema.classes_size() < 2 || schema.classes_size() > 1000 ||
          distinct.size() != static_cast<size_t>(schema.classes_size()) || distinct.count("") > 0) {
        return FieldError("settings.answer_schema.classes", "must be 2 to 1,000 different names");
      }
      return absl::OkStatus();
    }
    case v1::TASK_KIND_RATING:
      if (!std::isfinite(schema.min_rating()) || !std::isfinite(schema.max_rating()) ||
          schema.min_rating() >= schema.max_rating()) {
        return FieldError("settings.answer_schema.max_rating", "must be greater than min_rating");
      }
      return absl::OkStatus();
    case v1::TASK_KIND_PAIR:
    case v1::TASK_KIND_RANKING:
    case v1::TASK_KIND_FREE_TEXT:
      return absl::OkStatus();
    default:
      return FieldError("settings.answer_schema.kind", "is required");
  }
}

absl::Status CheckRedundancy(bool is_test, v1::Redundancy& redundancy) {
  if (redundancy.min_answers() == 0) redundancy.set_min_answers(1);
  if (redundancy.max_answers() == 0)
    redundancy.set_max_answers(std::max(5, redundancy.min_answers()));
  if (redundancy.target_confidence() == 0) redundancy.set_target_confidence(0.95);
  if (redundancy.gold_answers() == 0) redundancy.set_gold_answers(is_test ? 1'000 : 3);
  if (redundancy.min_answers() < 1 || redundancy.min_answers() > 50) {
    return FieldError("settings.redundancy.min_answers", "must be 1 to 50");
  }
  if (redundancy.max_answers() < redundancy.min_answers() || redundancy.max_answers() > 50) {
    return FieldError("settings.redundancy.max_answers", "must be min_answers to 50");
  }
  if (!(redundancy.target_confidence() > 0.5 && redundancy.target_confidence() < 1)) {
    return FieldError("settings.redundancy.target_confidence", "must be above 0.5 and below 1");
  }
  const int most_gold = is_test ? kMostTestAnswers : 50;
  if (redundancy.gold_answers() < 1 || redundancy.gold_answers() > most_gold) {
    return FieldError(
        "settings.redundancy.gold_answers",
        absl::StrCat("must be 1 to ", most_gold,
                     is_test ? ": give the test more questions instead"
                             : "; of a test of a skill (settings.qualification) more"));
  }
  const double below = redundancy.adjudicate_below();
  if (below != 0 && !(below >= 0.5 && below <= redundancy.target_confidence())) {
    return FieldError("settings.redundancy.adjudicate_below",
                      "must be 0 (never), or at least 0.5 and at most target_confidence");
  }
  const double quality = redundancy.adjudicator_quality();
  if (quality != 0 && !(quality >= 0.5 && quality < 1)) {
    return FieldError("settings.redundancy.adjudicator_quality",
                      "must be 0 (for 0.8), or at least 0.5 and below 1");
  }
  if (redundancy.has_adjudicate_priority() &&
      (redundancy.adjudicate_priority() < 0 || redundancy.adjudicate_priority() > 9)) {
    return FieldError("settings.redundancy.adjudicate_priority",
                      "must be 0 (the first tasks only) to 9 (all); leave it out for none");
  }
  if ((below != 0 || redundancy.has_adjudicate_priority()) && quality == 0) {
    redundancy.set_adjudicator_quality(0.8);
  }
  return absl::OkStatus();
}

absl::Status CheckQualification(v1::ProjectSettings& settings) {
  if (!settings.has_qualification()) return absl::OkStatus();
  v1::QualificationTest& test = *settings.mutable_qualification();
  if (!IsSlug(test.skill())) {
    return FieldError("settings.qualification.skill", "must be a slug such as handwriting");
  }
  const auto& required = settings.required_skills();
  if (std::find(required.begin(), required.end(), test.skill()) != required.end()) {
    return FieldError("settings.required_skills",
                      "must not hold the skill that the project tests: nobody could pass");
  }
  if (test.questions() == 0) test.set_questions(10);
  if (test.questions() < 1 || test.questions() > 100) {
    return FieldError("settings.qualification.questions", "must be 1 to 100");
  }
  if (test.pass_mark() == 0) test.set_pass_mark(0.8);
  if (!(test.pass_mark() > 0 && test.pass_mark() <= 1)) {
    return FieldError("settings.qualification.pass_mark", "must be above 0 and at most 1");
  }
  constexpr int64_t kDaySeconds = 86'400;
  if (!test.has_retake_after()) test.mutable_retake_after()->set_seconds(7 * kDaySeconds);
  const google::protobuf::Duration& after = test.retake_after();
  if (after.seconds() < 0 || after.nanos() < 0 || after.seconds() > 365 * kDaySeconds) {
    return FieldError("settings.qualification.retake_after", "must be 0 s to 365 d");
  }
  if (test.takes() == 0) test.set_takes(2);
  if (test.takes() < 1 || test.takes() > 10) {
    return FieldError("settings.qualification.takes", "must be 1 to 10");
  }
  return absl::OkStatus();
}

absl::Status CheckImage(absl::string_view field, const v1::Payload::ImageText& image) {
  if (image.image().empty() == image.blob().empty()) {
    return FieldError(field, "needs an image or the id of a blob, and not both");
  }
  if (!image.blob().empty()) {
    const bool hex =
        image.blob().size() == 64 &&
        std::all_of(image.blob().begin(), image.blob().end(), [](char c) {
          return absl::ascii_isdigit(static_cast<unsigned char>(c)) || (c >= 'a' && c <= 'f');
        });
    return hex ? absl::OkStatus()
               : FieldError(absl::StrCat(field, ".blob"), "must be 64 lower-case hex digits");
  }
  RETURN_IF_ERROR(CheckLength(absl::StrCat(field, ".image"), image.image(), kMaxInlineImageBytes));
  absl::StatusOr<GrayImage> decoded = DecodeGray(image.image());
  return decoded.ok() ? absl::OkStatus()
                      : FieldError(absl::StrCat(field, ".image"), decoded.status().message());
}

absl::Status CheckReview(const std::string& field, const v1::Answer& answer) {
  using Review = v1::Answer::Review;
  if (!answer.has_review()) return FieldError(field, "is required: there is an attempt to review");
  const Review& review = answer.review();
  if (review.verdict() != Review::ACCEPT && review.verdict() != Review::EDIT &&
      review.verdict() != Review::REJECT) {
    return FieldError(field + ".verdict", "must be ACCEPT, EDIT or REJECT");
  }
  RETURN_IF_ERROR(CheckLength(field + ".free_text", review.free_text(), 64 << 10));
  if (review.free_text().empty() == (review.verdict() == Review::EDIT)) {
    return FieldError(field + ".free_text", "is what an EDIT makes of the attempt, and only that");
  }
  RETURN_IF_ERROR(CheckLength(field + ".reason", review.reason(), 1 << 10));
  if (review.reason().empty() && review.verdict() != Review::ACCEPT) {
    return FieldError(field + ".reason", "is required of an EDIT or REJECT");
  }
  return absl::OkStatus();
}

absl::Status CheckReviewed(v1::ProjectSettings& settings) {
  v1::Redundancy& redundancy = *settings.mutable_redundancy();
  if (settings.answer_schema().kind() != v1::TASK_KIND_FREE_TEXT) {
    return FieldError("settings.review", "is for FREE_TEXT projects");
  }
  if (redundancy.max_answers() == 0) redundancy.set_max_answers(4);
  if (redundancy.min_answers() > 1) {
    return FieldError("settings.redundancy.min_answers", "must be 1 where review is set");
  }
  if (redundancy.max_answers() % 2 != 0) {
    return FieldError("settings.redundancy.max_answers",
                      "must be even where review is set: each attempt has its review");
  }
  if (redundancy.adjudicate_below() != 0) {
    return FieldError("settings.redundancy.adjudicate_below", "must be 0 where review is set");
  }
  if (redundancy.has_adjudicate_priority()) {
    return FieldError("settings.redundancy.adjudicate_priority",
                      "must be left out where review is set: each attempt has its review");
  }
  if (settings.duplicate_stragglers()) {
    return FieldError("settings.duplicate_stragglers", "does not go with review");
  }
  if (redundancy.adjudicator_quality() == 0) redundancy.set_adjudicator_quality(0.8);
  return absl::OkStatus();
}

absl::Status CheckTask(const std::string& field, const v1::AnswerSchema& schema,
                       const v1::Task& task) {
  RETURN_IF_ERROR(ValidatePayload(field + ".payload", schema, task.payload()));
  if (task.priority() < 0 || task.priority() > 9)
    return FieldError(field + ".priority", "must be 0 to 9");
  RETURN_IF_ERROR(CheckLength(field + ".group", task.group(), 256));
  return CheckLength(field + ".external_id", task.external_id(), 256);
}

absl::Status CheckBatch(absl::string_view field, int count, int64_t bytes,
                        absl::string_view request_id) {
  if (count < 1 || count > kMaxTasksPerCall) {
    return FieldError(field, absl::StrCat("has ", count, " entries, must have 1 to ",
                                          kMaxTasksPerCall, ": split the batch"));
  }
  if (bytes > kMaxSubmitBytes) {
    return FieldError(field,
                      absl::StrCat("the request is ", bytes, " bytes, at most ", kMaxSubmitBytes,
                                   " are allowed: split it, or upload images as blobs"));
  }
  const bool well_formed = !request_id.empty() && request_id.size() <= 64 &&
                           std::all_of(request_id.begin(), request_id.end(), [](char c) {
                             return absl::ascii_isalnum(static_cast<unsigned char>(c)) || c == '-';
                           });
  if (!well_formed) return FieldError("request_id", "must be 1 to 64 of [A-Za-z0-9-]");
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<v1::ProjectSettings> ValidateSettings(v1::ProjectSettings settings) {
  RETURN_IF_ERROR(CheckSchema(*settings.mutable_answer_schema()));
  RETURN_IF_ERROR(CheckLength("settings.guidelines", settings.guidelines(), 64 << 10));
  if (settings.guidelines_version() == 0) settings.set_guidelines_version(1);
  if (settings.review()) RETURN_IF_ERROR(CheckReviewed(settings));
  RETURN_IF_ERROR(CheckQualification(settings));
  RETURN_IF_ERROR(CheckRedundancy(settings.has_qualification(), *settings.mutable_redundancy()));
  constexpr int64_t kDay = 86'400'000;
  RETURN_IF_ERROR(CheckDuration("settings.offer_window", settings.mutable_offer_window(), 60'000,
                                100, 3'600'000));
  RETURN_IF_ERROR(CheckDuration("settings.work_window", settings.mutable_work_window(), 600'000,
                                100, 7 * kDay));
  RETURN_IF_ERROR(CheckDuration("settings.task_expiry", settings.mutable_task_expiry(), 30 * kDay,
                                1000, 365 * kDay));
  if (settings.backlog_cap() < 0) return FieldError("settings.backlog_cap", "must not be negative");
  if (settings.backlog_cap() == 0) settings.set_backlog_cap(1'000'000);
  if (settings.required_skills_size() > 32) {
    return FieldError("settings.required_skills", "at most 32 are allowed");
  }
  if (settings.weight() == 0) settings.set_weight(1);
  if (settings.weight() < 1 || settings.weight() > 1000) {
    return FieldError("settings.weight", "must be 1 to 1,000");
  }
  if (settings.parallel_offers() == 0) settings.set_parallel_offers(1);
  if (settings.parallel_offers() < 1 || settings.parallel_offers() > dispatch::kMostParallel) {
    return FieldError("settings.parallel_offers", "must be 1 to 4, or 0 for 1");
  }
  if (settings.budget_micros() < 0 || settings.budget_micros() > kMostMicros) {
    return FieldError("settings.budget_micros", "must be 0 (no limit) to 10^15");
  }
  v1::ModelLoop& loop = *settings.mutable_model_loop();
  if (loop.train_after_labels() == 0) loop.set_train_after_labels(256);
  if (loop.train_after_labels() < 1) {
    return FieldError("settings.model_loop.train_after_labels", "must be positive");
  }
  const int32_t check_after = loop.check_after_labels();
  if (check_after != 0 && check_after < 100) {
    return FieldError("settings.model_loop.check_after_labels", "must be 0 or at least 100");
  }
  if (check_after != 0 && settings.answer_schema().kind() != v1::TASK_KIND_IMAGE_TEXT) {
    return FieldError("settings.model_loop.check_after_labels",
                      "must be 0: only readers check labels");
  }
  const double accuracy = loop.auto_accept_accuracy();
  if (accuracy != 0 && !(accuracy >= 0.9 && accuracy < 1)) {
    return FieldError("settings.model_loop.auto_accept_accuracy",
                      "must be 0, or at least 0.9 and below 1");
  }
  if (!(loop.blind_share() >= 0 && loop.blind_share() <= 1)) {
    return FieldError("settings.model_loop.blind_share", "must be 0 to 1");
  }
  RETURN_IF_ERROR(CheckDuration("settings.model_loop.train_after", loop.mutable_train_after(), kDay,
                                1000, 365 * kDay));
  return settings;
}

absl::Status ValidatePayRate(const v1::PayRate& rate) {
  if (rate.micros_per_annotation() < 0 || rate.micros_per_annotation() > 1'000'000'000'000) {
    return FieldError("pay_rate.micros_per_annotation", "must be 0 to 10^12");
  }
  const std::string& currency = rate.currency();
  if (currency.size() != 3 ||
      !std::all_of(currency.begin(), currency.end(), [](char c) { return c >= 'A' && c <= 'Z'; })) {
    return FieldError("pay_rate.currency", "must be an ISO 4217 code such as EUR");
  }
  return absl::OkStatus();
}

absl::Status ValidatePayload(absl::string_view field, const v1::AnswerSchema& schema,
                             const v1::Payload& payload) {
  static constexpr v1::TaskKind kKinds[] = {v1::TASK_KIND_UNSPECIFIED, v1::TASK_KIND_IMAGE_TEXT,
                                            v1::TASK_KIND_CLASS,       v1::TASK_KIND_PAIR,
                                            v1::TASK_KIND_RANKING,     v1::TASK_KIND_RATING,
                                            v1::TASK_KIND_FREE_TEXT};
  if (payload.kind_case() == v1::Payload::KIND_NOT_SET) return FieldError(field, "is required");
  if (kKinds[payload.kind_case()] != schema.kind()) {
    return FieldError(field, absl::StrCat("does not match the project's kind ",
                                          v1::TaskKind_Name(schema.kind())));
  }
  const std::string at(field);
  switch (payload.kind_case()) {
    case v1::Payload::kImageText:
      return CheckImage(at + ".image_text", payload.image_text());
    case v1::Payload::kPair:
      RETURN_IF_ERROR(CheckLength(at + ".pair.prompt", payload.pair().prompt(), kText));
      RETURN_IF_ERROR(CheckLength(at + ".pair.response_a", payload.pair().response_a(), kText));
      RETURN_IF_ERROR(CheckLength(at + ".pair.response_b", payload.pair().response_b(), kText));
      if (payload.pair().response_a().empty() || payload.pair().response_b().empty()) {
        return FieldError(at + ".pair", "needs response_a and response_b");
      }
      return absl::OkStatus();
    case v1::Payload::kRanking:
      if (payload.ranking().responses_size() < 2 || payload.ranking().responses_size() > 9) {
        return FieldError(at + ".ranking.responses", "must be 2 to 9");
      }
      for (const std::string& response : payload.ranking().responses()) {
        RETURN_IF_ERROR(CheckLength(at + ".ranking.responses", response, kText));
      }
      return CheckLength(at + ".ranking.prompt", payload.ranking().prompt(), kText);
    case v1::Payload::kClassItem:
      return CheckLength(at + ".class_item.text", payload.class_item().text(), kText);
    case v1::Payload::kRating:
      return CheckLength(at + ".rating.text", payload.rating().text(), kText);
    default:
      return CheckLength(at + ".free_text.prompt", payload.free_text().prompt(), kText);
  }
}

absl::Status ValidateAnswer(absl::string_view field, const v1::AnswerSchema& schema,
                            const v1::Answer& answer, const AnswerTerms& terms) {
  if (answer.value_case() == v1::Answer::VALUE_NOT_SET) return FieldError(field, "is required");
  if (terms.review) return CheckReview(absl::StrCat(field, ".review"), answer);
  if (!quality::MatchesKind(schema.kind(), answer)) {
    return FieldError(field, absl::StrCat("does not match the project's kind ",
                                          v1::TaskKind_Name(schema.kind())));
  }
  switch (answer.value_case()) {
    case v1::Answer::kText:
      return CheckLength(absl::StrCat(field, ".text"), answer.text(), 4 << 10);
    case v1::Answer::kClassName: {
      const auto& classes = schema.classes();
      const bool known =
          std::find(classes.begin(), classes.end(), answer.class_name()) != classes.end();
      return known ? absl::OkStatus()
                   : FieldError(absl::StrCat(field, ".class_name"),
                                "is none of the project's classes");
    }
    case v1::Answer::kPreferred:
      if (answer.preferred() == v1::Answer::SIDE_A || answer.preferred() == v1::Answer::SIDE_B ||
          (answer.preferred() == v1::Answer::SIDE_TIE && schema.allow_tie())) {
        return absl::OkStatus();
      }
      return FieldError(absl::StrCat(field, ".preferred"),
                        "must be SIDE_A or SIDE_B (or SIDE_TIE where the project allows ties)");
    case v1::Answer::kOrder: {
      std::vector<int> order(answer.order().best_first().begin(),
                             answer.order().best_first().end());
      std::sort(order.begin(), order.end());
      bool permutation = static_cast<int>(order.size()) == terms.ranking_size;
      for (size_t i = 0; permutation && i < order.size(); ++i)
        permutation = order[i] == static_cast<int>(i);
      return permutation ? absl::OkStatus()
                         : FieldError(absl::StrCat(field, ".order"), "must hold every index once");
    }
    case v1::Answer::kRating:
      if (answer.rating() >= schema.min_rating() && answer.rating() <= schema.max_rating()) {
        return absl::OkStatus();
      }
      return FieldError(absl::StrCat(field, ".rating"), "is outside the project's range");
    default:
      return CheckLength(absl::StrCat(field, ".free_text"), answer.free_text(), 64 << 10);
  }
}

absl::Status ValidateSubmit(const v1::SubmitTasksRequest& request, const v1::AnswerSchema& schema) {
  RETURN_IF_ERROR(CheckBatch("tasks", request.tasks_size(),
                             static_cast<int64_t>(request.ByteSizeLong()), request.request_id()));
  for (int i = 0; i < request.tasks_size(); ++i) {
    RETURN_IF_ERROR(CheckTask(absl::StrCat("tasks[", i, "]"), schema, request.tasks(i)));
  }
  return absl::OkStatus();
}

absl::Status ValidateGold(const v1::AddGoldRequest& request, const v1::AnswerSchema& schema) {
  RETURN_IF_ERROR(CheckBatch("gold", request.gold_size(),
                             static_cast<int64_t>(request.ByteSizeLong()), request.request_id()));
  for (int i = 0; i < request.gold_size(); ++i) {
    const std::string field = absl::StrCat("gold[", i, "]");
    RETURN_IF_ERROR(CheckTask(field + ".task", schema, request.gold(i).task()));
    RETURN_IF_ERROR(ValidateAnswer(field + ".answer", schema, request.gold(i).answer(),
                                   {request.gold(i).task().payload().ranking().responses_size()}));
  }
  return absl::OkStatus();
}

absl::Status ValidateContractor(const v1::Contractor& contractor) {
  RETURN_IF_ERROR(CheckLength("contractor.display_name", contractor.display_name(), 128));
  if (contractor.skills_size() > 64)
    return FieldError("contractor.skills", "at most 64 are allowed");
  for (int i = 0; i < contractor.skills_size(); ++i) {
    if (!IsSlug(contractor.skills(i))) {
      return FieldError(absl::StrCat("contractor.skills[", i, "]"),
                        "must be a slug such as handwriting");
    }
  }
  if (contractor.languages_size() > 32)
    return FieldError("contractor.languages", "at most 32 are allowed");
  for (const std::string& language : contractor.languages()) {
    RETURN_IF_ERROR(CheckLength("contractor.languages", language, 35));
  }
  if (contractor.opt_outs_size() > 32)
    return FieldError("contractor.opt_outs", "at most 32 are allowed");
  for (const std::string& opt_out : contractor.opt_outs()) {
    RETURN_IF_ERROR(CheckLength("contractor.opt_outs", opt_out, 64));
  }
  if (contractor.min_pay_micros() < 0) {
    return FieldError("contractor.min_pay_micros", "must not be negative");
  }
  return absl::OkStatus();
}

}  // namespace fairlead::api
