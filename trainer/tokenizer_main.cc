// fairlead-tokenizer: trains a SentencePiece model on the lines of standard input and writes it to
// standard output. A program of its own because Debian's library carries a copy of protobuf that
// must not meet another one in a process; the trainer and the worker run it (reward/tokenizer.h).
// Exit codes: 0 done, 1 failed, 2 wrong input or arguments; then standard output says why.
#include <sentencepiece_trainer.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <string>
#include <unordered_map>
#include <vector>

namespace fairlead::trainer {
namespace {

constexpr size_t kLongestLine = 4000;  // Bytes; SentencePiece leaves out lines beyond 4,192.

class Lines : public sentencepiece::SentenceIterator {
 public:
  explicit Lines(const std::vector<std::string>& lines) : lines_(lines) {}
  bool done() const override { return at_ >= lines_.size(); }
  void Next() override { ++at_; }
  const std::string& value() const override { return lines_[at_]; }
  sentencepiece::util::Status status() const override { return {}; }

 private:
  const std::vector<std::string>& lines_;
  size_t at_ = 0;
};

// A long line in parts that end before a character; blank lines are left out.
void AddLine(const std::string& line, std::vector<std::string>& lines) {
  if (line.find_first_not_of(" \t\r\v\f") == std::string::npos) return;
  for (size_t begin = 0; begin < line.size();) {
    size_t end = std::min(line.size(), begin + kLongestLine);
    while (end < line.size() && end > begin + 1 && (line[end] & 0xC0) == 0x80) --end;
    lines.push_back(line.substr(begin, end - begin));
    begin = end;
  }
}

std::vector<std::string> ReadLines() {
  std::string line;
  std::vector<std::string> lines;
  for (int c = std::getchar(); c != EOF; c = std::getchar()) {
    if (c != '\n' && c != '\0') {
      line += static_cast<char>(c);
      continue;
    }
    AddLine(line, lines);
    line.clear();
  }
  AddLine(line, lines);
  return lines;
}

int Train(const std::vector<std::string>& lines, int vocabulary) {
  std::string model, problem;
  // Scripts of many thousand characters leave no room for words: then the rare ones stay unknown.
  for (const char* coverage : {"0.9995", "0.98", "0.9"}) {
    Lines source(lines);
    const auto status = sentencepiece::SentencePieceTrainer::Train(
        std::unordered_map<std::string, std::string>{{"model_type", "bpe"},
                                                     {"vocab_size", std::to_string(vocabulary)},
                                                     {"hard_vocab_limit", "false"},
                                                     {"character_coverage", coverage},
                                                     {"normalization_rule_name", "nmt_nfkc"},
                                                     {"num_threads", "1"},
                                                     {"bos_id", "-1"},
                                                     {"eos_id", "-1"},
                                                     {"minloglevel", "3"}},
        &source, &model);
    if (status.ok() && std::fwrite(model.data(), 1, model.size(), stdout) == model.size()) return 0;
    problem = status.ToString();
  }
  std::printf("too little text for a vocabulary, or too many characters: %s\n", problem.c_str());
  return 2;
}

int Main(int argc, char** argv) {
  CLI::App app("Train a SentencePiece model on the lines of standard input");
  app.footer("Example: zcat texts.gz | fairlead-tokenizer --vocabulary 4000 > pieces.model");
  int vocabulary = 4000;
  app.add_option("--vocabulary", vocabulary, "At most so many pieces")
      ->check(CLI::Range(16, 65536))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  const std::vector<std::string> lines = ReadLines();
  if (lines.empty()) {
    std::printf("there is no text to learn a vocabulary from\n");
    return 2;
  }
  return Train(lines, vocabulary);
}

}  // namespace
}  // namespace fairlead::trainer

int main(int argc, char** argv) { return fairlead::trainer::Main(argc, argv); }
