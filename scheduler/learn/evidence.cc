#include "scheduler/learn/evidence.h"

#include <set>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"

namespace fairlead::learn {
namespace {

using store::v1::DatasetManifest;

// The whole characters of a UTF-8 text.
std::set<std::string> CharactersOf(const std::string& text, int* length) {
  std::set<std::string> characters;
  *length = 0;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = begin + 1;
    while (end < text.size() && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) ++end;
    characters.insert(text.substr(begin, end - begin));
    ++*length;
    begin = end;
  }
  return characters;
}

std::vector<std::string> SlicesOf(const DatasetManifest::Item& item) {
  std::vector<std::string> slices;
  if (item.payload().has_pair()) {
    const auto preferred = item.answer().preferred();
    if (preferred != fairlead::v1::Answer::SIDE_A && preferred != fairlead::v1::Answer::SIDE_B) {
      return {"tie"};
    }
    const bool longer_a =
        item.payload().pair().response_a().size() >= item.payload().pair().response_b().size();
    const bool prefers_a = preferred == fairlead::v1::Answer::SIDE_A;
    return {longer_a == prefers_a ? "longer is better" : "shorter is better"};
  }
  int length = 0;
  for (const std::string& character : CharactersOf(item.answer().text(), &length)) {
    slices.push_back(absl::StrCat("character ", character));
  }
  slices.push_back(absl::StrCat("length ", length));
  return slices;
}

}  // namespace

absl::StatusOr<PairedEvidence> EvidenceOf(const DatasetManifest& manifest,
                                          const store::v1::Evaluation& evaluation) {
  absl::flat_hash_map<std::string, const DatasetManifest::Item*> judged;
  for (const DatasetManifest::Item& item : manifest.items()) {
    if (item.split() == DatasetManifest::TEST || item.split() == DatasetManifest::WINDOW) {
      judged.emplace(item.id(), &item);
    }
  }
  PairedEvidence evidence;
  for (const store::v1::Evaluation::Item& read : evaluation.items()) {
    const auto found = judged.find(read.id());
    if (found == judged.end()) {
      return FieldError("items.id", absl::StrCat("'", read.id(), "' is no judged item, or twice"));
    }
    const DatasetManifest::Item& item = *found->second;
    judged.erase(found);
    PairedItem paired;
    paired.group = StableHash64(item.group().empty() ? item.id() : item.group());
    paired.champion_right = read.champion().right();
    paired.challenger_right = read.version().right();
    paired.champion_loss = read.champion().loss();
    paired.challenger_loss = read.version().loss();
    paired.champion_confidence = read.champion().confidence();
    paired.challenger_confidence = read.version().confidence();
    paired.slices = SlicesOf(item);
    const bool frozen = item.split() == DatasetManifest::TEST;
    (frozen ? evidence.frozen : evidence.prequential).push_back(std::move(paired));
  }
  return evidence;
}

}  // namespace fairlead::learn
