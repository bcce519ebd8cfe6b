#include "scheduler/quality/answer.h"

#include <cmath>
#include <cstdlib>

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "common/base/status.h"

namespace fairlead::quality {
namespace {

constexpr double kTextAlternatives = 20;
constexpr double kRatingTolerance = 0.1;  // Of the range, to either side: five bands fill it.

std::string Escape(absl::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '\\':
        out += "\\\\";
        break;
      case '\t':
        out += "\\t";
        break;
      case '\n':
        out += "\\n";
        break;
      case '\r':
        out += "\\r";
        break;
      default:
        out += c;
    }
  }
  return out;
}

absl::Status Malformed(absl::string_view problem) {
  return Error(absl::StatusCode::kInvalidArgument, "ANSWER_MALFORMED",
               absl::StrCat("answer key: ", problem));
}

absl::StatusOr<std::string> Unescape(absl::string_view key) {
  std::string out;
  out.reserve(key.size());
  for (size_t i = 0; i < key.size(); ++i) {
    if (key[i] != '\\') {
      out += key[i];
      continue;
    }
    if (++i == key.size()) return Malformed("a lone backslash at the end");
    switch (key[i]) {
      case '\\':
        out += '\\';
        break;
      case 't':
        out += '\t';
        break;
      case 'n':
        out += '\n';
        break;
      case 'r':
        out += '\r';
        break;
      default:
        return Malformed("an unknown escape; only \\\\, \\t, \\n and \\r are known");
    }
  }
  return out;
}

std::string RatingKey(double rating) {
  for (const int digits : {15, 16}) {
    std::string text = absl::StrFormat("%.*g", digits, rating);
    double back = 0;
    if (absl::SimpleAtod(text, &back) && back == rating) return text;
  }
  return absl::StrFormat("%.17g", rating);
}

absl::StatusOr<v1::Answer> ParseOrder(absl::string_view key) {
  v1::Answer answer;
  std::vector<bool> seen;
  const std::vector<absl::string_view> parts = absl::StrSplit(key, '>');
  seen.resize(parts.size());
  for (const absl::string_view part : parts) {
    uint32_t index = 0;
    if (!absl::SimpleAtoi(part, &index) || index >= parts.size() || seen[index]) {
      return Malformed("a ranking reads like 2>0>1, each index once");
    }
    seen[index] = true;
    answer.mutable_order()->add_best_first(static_cast<int32_t>(index));
  }
  return answer;
}

}  // namespace

bool MatchesKind(v1::TaskKind kind, const v1::Answer& answer) {
  switch (kind) {
    case v1::TASK_KIND_IMAGE_TEXT:
      return answer.value_case() == v1::Answer::kText;
    case v1::TASK_KIND_CLASS:
      return answer.value_case() == v1::Answer::kClassName;
    case v1::TASK_KIND_PAIR:
      return answer.value_case() == v1::Answer::kPreferred;
    case v1::TASK_KIND_RANKING:
      return answer.value_case() == v1::Answer::kOrder;
    case v1::TASK_KIND_RATING:
      return answer.value_case() == v1::Answer::kRating && std::isfinite(answer.rating());
    case v1::TASK_KIND_FREE_TEXT:
      return answer.value_case() == v1::Answer::kFreeText;
    default:
      return false;
  }
}

bool SameAnswer(const v1::AnswerSchema& schema, const v1::Answer& a, const v1::Answer& b) {
  if (a.value_case() != b.value_case()) return false;
  if (a.value_case() == v1::Answer::kRating) {
    const double range = std::max(schema.max_rating() - schema.min_rating(), 0.0);
    return std::abs(a.rating() - b.rating()) <= kRatingTolerance * range;
  }
  return AnswerKey(a) == AnswerKey(b);
}

std::string AnswerKey(const v1::Answer& answer) {
  switch (answer.value_case()) {
    case v1::Answer::kText:
      return Escape(absl::StripAsciiWhitespace(answer.text()));
    case v1::Answer::kFreeText:
      return Escape(absl::StripAsciiWhitespace(answer.free_text()));
    case v1::Answer::kClassName:
      return Escape(absl::StripAsciiWhitespace(answer.class_name()));
    case v1::Answer::kPreferred:
      switch (answer.preferred()) {
        case v1::Answer::SIDE_A:
          return "A";
        case v1::Answer::SIDE_B:
          return "B";
        case v1::Answer::SIDE_TIE:
          return "TIE";
        default:
          return "";
      }
    case v1::Answer::kOrder:
      return absl::StrJoin(answer.order().best_first(), ">");
    case v1::Answer::kRating:
      return RatingKey(answer.rating());
    case v1::Answer::kReview:
      return Escape(absl::StrCat(v1::Answer::Review::Verdict_Name(answer.review().verdict()), " ",
                                 answer.review().free_text()));
    case v1::Answer::VALUE_NOT_SET:
      return "";
  }
  return "";
}

absl::StatusOr<v1::Answer> ParseAnswer(v1::TaskKind kind, absl::string_view key) {
  v1::Answer answer;
  switch (kind) {
    case v1::TASK_KIND_IMAGE_TEXT:
    case v1::TASK_KIND_FREE_TEXT:
    case v1::TASK_KIND_CLASS: {
      ASSIGN_OR_RETURN(std::string text, Unescape(key));
      std::string* const slot = kind == v1::TASK_KIND_IMAGE_TEXT  ? answer.mutable_text()
                                : kind == v1::TASK_KIND_FREE_TEXT ? answer.mutable_free_text()
                                                                  : answer.mutable_class_name();
      *slot = std::move(text);
      return answer;
    }
    case v1::TASK_KIND_PAIR:
      if (key == "A") answer.set_preferred(v1::Answer::SIDE_A);
      if (key == "B") answer.set_preferred(v1::Answer::SIDE_B);
      if (key == "TIE") answer.set_preferred(v1::Answer::SIDE_TIE);
      if (answer.value_case() == v1::Answer::VALUE_NOT_SET) return Malformed("not A, B or TIE");
      return answer;
    case v1::TASK_KIND_RANKING:
      return ParseOrder(key);
    case v1::TASK_KIND_RATING: {
      double rating = 0;
      if (!absl::SimpleAtod(key, &rating) || !std::isfinite(rating)) {
        return Malformed("not a finite number");
      }
      answer.set_rating(rating);
      return answer;
    }
    default:
      return Malformed("unknown kind of work");
  }
}

double Alternatives(const v1::AnswerSchema& schema) {
  switch (schema.kind()) {
    case v1::TASK_KIND_CLASS:
      return std::max(2, schema.classes_size());
    case v1::TASK_KIND_PAIR:
      return schema.allow_tie() ? 3 : 2;
    case v1::TASK_KIND_RATING:
      return 0.5 / kRatingTolerance;
    case v1::TASK_KIND_RANKING:
      return 2;
    default:
      return kTextAlternatives;
  }
}

}  // namespace fairlead::quality
