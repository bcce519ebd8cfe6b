#include "common/rpc/method_table.h"

#include <google/protobuf/descriptor.h>

#include "absl/strings/str_cat.h"
#include "common/base/log.h"
#include "fairlead/v1/admin_service.pb.h"
#include "fairlead/v1/blob_service.pb.h"
#include "fairlead/v1/contractor_service.pb.h"
#include "fairlead/v1/job_service.pb.h"
#include "fairlead/v1/model_service.pb.h"
#include "fairlead/v1/project_service.pb.h"
#include "fairlead/v1/task_service.pb.h"

namespace fairlead::rpc {

MethodTable::MethodTable(const std::vector<std::string>& services) {
  // Touching one message of each file links its descriptors in.
  v1::CreateTenantRequest::descriptor();
  v1::UploadBlobRequest::descriptor();
  v1::EnrolRequest::descriptor();
  v1::ExplainJobRequest::descriptor();
  v1::ListModelsRequest::descriptor();
  v1::CreateProjectRequest::descriptor();
  v1::SubmitTasksRequest::descriptor();
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const std::string& name : services) {
    const auto* service = pool->FindServiceByName(name);
    FAIRLEAD_CHECK(service != nullptr) << "no descriptor of service " << name;
    for (int i = 0; i < service->method_count(); ++i) {
      const auto* method = service->method(i);
      const std::string path = absl::StrCat("/", name, "/", method->name());
      const v1::AuthRule& rule = method->options().GetExtension(v1::auth);
      if (rule.roles().empty() || rule.owner() == v1::OWNER_RULE_UNSPECIFIED) {
        missing_.push_back(path);
      } else {
        rules_[path] = rule;
      }
    }
  }
}

const v1::AuthRule* MethodTable::Find(absl::string_view method) const {
  auto found = rules_.find(std::string(method));
  return found == rules_.end() ? nullptr : &found->second;
}

const std::vector<std::string>& ServedServices() {
  static const auto* services = new std::vector<std::string>{
      "fairlead.v1.ProjectService",    "fairlead.v1.TaskService",    "fairlead.v1.BlobService",
      "fairlead.v1.ContractorService", "fairlead.v1.AccountService", "fairlead.v1.ModelService",
      "fairlead.v1.AdminService",      "fairlead.v1.JobService"};
  return *services;
}

}  // namespace fairlead::rpc
