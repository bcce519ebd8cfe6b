#include "scheduler/cli/credentials.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "nlohmann/json.hpp"
#include "scheduler/cli/file.h"

namespace fairlead::cli {

absl::StatusOr<Credentials> ParseCredentials(absl::string_view text, const std::string& source) {
  const auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return absl::InvalidArgumentError(absl::StrCat(source, ": not JSON"));
  Credentials credentials;
  const std::pair<const char*, std::string*> fields[] = {{"address", &credentials.address},
                                                         {"tenant", &credentials.tenant},
                                                         {"operator", &credentials.operator_token},
                                                         {"client", &credentials.client_token},
                                                         {"worker", &credentials.worker_token}};
  for (const auto& [key, value] : fields) {
    const auto it = json.find(key);
    if (it == json.end() || !it->is_string()) {
      return absl::InvalidArgumentError(absl::StrCat(source, ": \"", key, "\" is missing"));
    }
    *value = it->get<std::string>();
  }
  return credentials;
}

std::string CredentialsToJson(const Credentials& credentials) {
  const nlohmann::ordered_json json = {{"address", credentials.address},
                                       {"tenant", credentials.tenant},
                                       {"operator", credentials.operator_token},
                                       {"client", credentials.client_token},
                                       {"worker", credentials.worker_token}};
  return json.dump(2) + "\n";
}

absl::StatusOr<Credentials> LoadCredentials(const std::string& path) {
  ASSIGN_OR_RETURN(const std::string text, ReadFile(path, 1 << 20));
  return ParseCredentials(text, path);
}

absl::Status SaveCredentials(const std::string& path, const Credentials& credentials) {
  return WriteFile(path, CredentialsToJson(credentials), 0600);
}

}  // namespace fairlead::cli
