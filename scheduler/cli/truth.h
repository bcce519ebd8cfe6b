// What simulated contractors look at instead of an image: the right answer by payload. Contractors
// do not see external ids, so the key is the payload itself: an image's blob id (SHA-256 of its
// bytes) or the texts of a pair.
#pragma once

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "fairlead/v1/resources.pb.h"

namespace fairlead::cli {

// Filled first, then read by many threads.
class Truth {
 public:
  // Replaces what was known for the same payload.
  void Add(const v1::Payload& payload, const v1::Answer& answer);
  void AddImage(absl::string_view bytes, absl::string_view text);

  // The key of a payload: 64 hex digits; an image given by bytes and by blob id has the same.
  static std::string Key(const v1::Payload& payload);
  // Null when nothing is known about it.
  const v1::Answer* Find(const v1::Payload& payload) const;
  size_t size() const { return answers_.size(); }

  // From labels.tsv and its images, or from JSON lines that have an "answer". Images that the
  // labels do not name are left out. INVALID_ARGUMENT naming file and line.
  absl::Status LoadImages(const std::string& images, const std::string& labels);
  absl::Status LoadLines(const std::string& path);

 private:
  absl::flat_hash_map<std::string, v1::Answer> answers_;
};

}  // namespace fairlead::cli
