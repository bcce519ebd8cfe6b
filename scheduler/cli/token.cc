// fairlead token: bearer tokens for clients, contractors, workers, operators and viewers.
#include <iostream>
#include <map>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "scheduler/cli/client.h"
#include "scheduler/cli/command.h"
#include "scheduler/cli/file.h"
#include "scheduler/cli/print.h"

namespace fairlead::cli {
namespace {

struct TokenFlags {
  std::string role;
  std::string contractor;
  std::string out;
  std::string id;
  int days = 90;
};

absl::StatusOr<v1::Role> ParseRole(const std::string& role) {
  static const auto* const roles =
      new std::map<std::string, v1::Role>{{"client", v1::ROLE_CLIENT},
                                          {"contractor", v1::ROLE_CONTRACTOR},
                                          {"worker", v1::ROLE_WORKER},
                                          {"operator", v1::ROLE_OPERATOR},
                                          {"viewer", v1::ROLE_VIEWER}};
  const auto it = roles->find(role);
  if (it != roles->end()) return it->second;
  return FieldError("role", "must be client, contractor, worker, operator or viewer");
}

absl::Status CreateToken(const GlobalOptions& globals, const TokenFlags& flags) {
  v1::CreateTokenRequest request;
  ASSIGN_OR_RETURN(const v1::Role role, ParseRole(flags.role));
  request.set_role(role);
  if (flags.days < 1 || flags.days > 365) return FieldError("days", "must be 1–365");
  request.mutable_lifetime()->set_seconds(flags.days * int64_t{86400});
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  if (role == v1::ROLE_CLIENT) request.set_tenant(client->tenant_name());
  if (role == v1::ROLE_CONTRACTOR) {
    if (flags.contractor.empty()) return FieldError("contractor", "required of this role");
    request.set_contractor(absl::StartsWith(flags.contractor, "contractors/")
                               ? flags.contractor
                               : absl::StrCat("contractors/", flags.contractor));
  }
  ASSIGN_OR_RETURN(v1::CreateTokenResponse response,
                   client->Call(client->admin(), &v1::AdminService::Stub::CreateToken, request));
  if (!flags.out.empty()) {
    RETURN_IF_ERROR(WriteFile(flags.out, response.secret(), 0600));
    response.clear_secret();
  }
  if (globals.json) {
    PrintJson(response);
  } else {
    std::cout << "token id: " << response.token_id() << "\n";
    if (flags.out.empty()) std::cout << "secret:   " << response.secret() << "\n";
  }
  return absl::OkStatus();
}

absl::Status RevokeToken(const GlobalOptions& globals, const std::string& id) {
  ASSIGN_OR_RETURN(const auto client, Client::Connect(globals, Speaker::kOperator));
  v1::RevokeTokenRequest request;
  request.set_token_id(id);
  return client->Call(client->admin(), &v1::AdminService::Stub::RevokeToken, request).status();
}

}  // namespace

void AddTokenCommands(CommandLine& line) {
  auto flags = std::make_shared<TokenFlags>();
  GlobalOptions& globals = line.globals;
  CLI::App* token =
      line.Add(nullptr, "token", "Tokens: create, revoke",
               "fairlead token create --role contractor --contractor ana --out ana.token");
  token->require_subcommand(1);
  CLI::App* create =
      line.Add(token, "create", "A new token; its secret is shown once",
               "fairlead token create --role contractor --contractor ana --out ana.token",
               [&globals, flags] { return Finish(CreateToken(globals, *flags)); });
  create->add_option("--role", flags->role, "client, contractor, worker, operator or viewer")
      ->required();
  create->add_option("--contractor", flags->contractor, "Id of the contractor, a slug");
  create->add_option("--days", flags->days, "Lifetime");
  create->add_option("--out", flags->out, "Write the secret to a file of mode 0600");
  line.Add(token, "revoke", "Refuse a token from now on", "fairlead token revoke TOKEN_ID",
           [&globals, flags] { return Finish(RevokeToken(globals, flags->id)); })
      ->add_option("token_id", flags->id, "As printed when it was created")
      ->required();
}

}  // namespace fairlead::cli
