// Who may call what, read from the `auth` options of the service descriptors. A method that is not
// in the table is refused for everybody.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "fairlead/v1/options.pb.h"

namespace fairlead::rpc {

class MethodTable {
 public:
  // Of all methods of the named services ("fairlead.v1.TaskService"); those without a usable rule
  // (no role, no owner rule) are listed in missing().
  explicit MethodTable(const std::vector<std::string>& services);

  // The rule of "/fairlead.v1.TaskService/SubmitTasks"; nullptr when there is none.
  const v1::AuthRule* Find(absl::string_view method) const;
  const std::map<std::string, v1::AuthRule>& rules() const { return rules_; }
  const std::vector<std::string>& missing() const { return missing_; }

 private:
  std::map<std::string, v1::AuthRule> rules_;
  std::vector<std::string> missing_;
};

// The services that the scheduler serves.
const std::vector<std::string>& ServedServices();

}  // namespace fairlead::rpc
