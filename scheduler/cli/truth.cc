#include "scheduler/cli/truth.h"

#include <map>

#include "absl/strings/str_cat.h"
#include "common/base/hash.h"
#include "common/base/status.h"
#include "scheduler/cli/file.h"
#include "scheduler/cli/image_set.h"
#include "scheduler/cli/labels.h"
#include "scheduler/cli/task_lines.h"

namespace fairlead::cli {

std::string Truth::Key(const v1::Payload& payload) {
  if (payload.has_image_text()) {
    const auto& image = payload.image_text();
    return image.blob().empty() ? Sha256Hex(image.image()) : image.blob();
  }
  return Sha256Hex(payload.SerializeAsString());
}

void Truth::Add(const v1::Payload& payload, const v1::Answer& answer) {
  answers_[Key(payload)] = answer;
}

void Truth::AddImage(absl::string_view bytes, absl::string_view text) {
  answers_[Sha256Hex(bytes)].set_text(std::string(text));
}

const v1::Answer* Truth::Find(const v1::Payload& payload) const {
  const auto it = answers_.find(Key(payload));
  return it == answers_.end() ? nullptr : &it->second;
}

absl::Status Truth::LoadImages(const std::string& images, const std::string& labels) {
  ASSIGN_OR_RETURN(const std::vector<LabelLine> lines, ReadLabels(labels));
  std::map<std::string, std::string> texts;
  for (const LabelLine& line : lines) texts[line.file] = line.text;
  return VisitImages(images,
                     [&](const std::string& name, std::string bytes, const absl::Status& error) {
                       const auto text = texts.find(name);
                       if (error.ok() && text != texts.end()) AddImage(bytes, text->second);
                       return absl::OkStatus();
                     });
}

absl::Status Truth::LoadLines(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 30));
  ASSIGN_OR_RETURN(const std::vector<TaskLine> lines, ParseTaskLines(text, path));
  for (const TaskLine& line : lines) {
    if (!line.answer.has_value()) {
      return absl::InvalidArgumentError(absl::StrCat(path, ":", line.line, ": no \"answer\""));
    }
    Add(line.task.payload(), *line.answer);
  }
  return absl::OkStatus();
}

}  // namespace fairlead::cli
