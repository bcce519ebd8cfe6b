#include "tests/trainer/sentencepiece_reference.h"

#include <sentencepiece_processor.h>

#include <cstdlib>

namespace fairlead::trainer {

struct SentencePieceReference::State {
  sentencepiece::SentencePieceProcessor library;
};

SentencePieceReference::SentencePieceReference(const std::string& model)
    : state_(std::make_unique<State>()) {
  if (!state_->library.LoadFromSerializedProto(model).ok()) std::abort();
}
SentencePieceReference::~SentencePieceReference() = default;

int SentencePieceReference::pieces() const { return state_->library.GetPieceSize(); }

std::vector<int> SentencePieceReference::Encode(const std::string& text) const {
  std::vector<int> ids;
  if (!state_->library.Encode(text, &ids).ok()) std::abort();
  return ids;
}

}  // namespace fairlead::trainer
