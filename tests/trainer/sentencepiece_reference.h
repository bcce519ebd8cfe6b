// What Debian's SentencePiece says, behind a header of its own: the library's has a string_view
// that is not the house's.
#pragma once

#include <memory>
#include <string>
#include <vector>

namespace fairlead::trainer {

class SentencePieceReference {
 public:
  explicit SentencePieceReference(const std::string& model);
  ~SentencePieceReference();
  int pieces() const;
  std::vector<int> Encode(const std::string& text) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fairlead::trainer
