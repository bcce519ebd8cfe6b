// Who the tool speaks as. `fairlead up` writes DATA/credentials.json (mode 0600) at its first
// start.
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace fairlead::cli {

// The options that every command understands.
struct GlobalOptions {
  std::string address;     // Empty: the one in the credentials file.
  std::string token_file;  // A file that holds one bearer secret; goes before the credentials file.
  std::string credentials = ".fairlead/credentials.json";
  std::string tenant;  // Empty: the one in the credentials file.
  bool json = false;   // Machine-readable output, one JSON value a line or one in all.
};

// The secrets are bearer tokens, one a role. Never logged.
struct Credentials {
  std::string address;  // unix:PATH or HOST:PORT.
  std::string tenant;   // A slug.
  std::string operator_token;
  std::string client_token;
  std::string worker_token;
};

// INVALID_ARGUMENT naming `source` and what is missing. Other keys are left alone.
absl::StatusOr<Credentials> ParseCredentials(absl::string_view text, const std::string& source);
std::string CredentialsToJson(const Credentials& credentials);

absl::StatusOr<Credentials> LoadCredentials(const std::string& path);
// Mode 0600.
absl::Status SaveCredentials(const std::string& path, const Credentials& credentials);

}  // namespace fairlead::cli
