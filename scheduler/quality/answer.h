// Answers as values: equality, canonical text and its inverse. Pure; thread-safe.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "fairlead/v1/resources.pb.h"

namespace fairlead::quality {

// Whether the member that is set is the one that this kind of work asks for.
bool MatchesKind(v1::TaskKind kind, const v1::Answer& answer);

// Whether two answers say the same. Texts are compared after trimming outer whitespace and nothing
// else is normalised; ratings within a tenth of the range are the same.
bool SameAnswer(const v1::AnswerSchema& schema, const v1::Answer& a, const v1::Answer& b);

// The canonical text of an answer, for equality and TSV export: the trimmed text, the class, "A",
// "B" or "TIE", "2>0>1", a review's verdict with its text, the shortest decimal that reads back to
// the same rating. Backslash, tab, newline and carriage return appear as \\, \t, \n and \r. Empty
// for an empty answer.
std::string AnswerKey(const v1::Answer& answer);

// The answer whose key this is, of a project of this kind. INVALID_ARGUMENT (ANSWER_MALFORMED)
// where it is none.
absl::StatusOr<v1::Answer> ParseAnswer(v1::TaskKind kind, absl::string_view key);

// The number of alternatives that an answer competes with: the classes; two or three sides; for
// texts 20, since two wrong transcriptions seldom coincide; five bands of a rating; two for each
// pair of a ranking. At least 2.
double Alternatives(const v1::AnswerSchema& schema);

}  // namespace fairlead::quality
