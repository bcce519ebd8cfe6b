#include "tests/store/whole_way.h"

#include "absl/strings/str_cat.h"
#include "common/base/status.h"
#include "tests/store/task_backend.h"

namespace fairlead::store {
namespace {

using fairlead::v1::Task;
using v1::Placement;

// Version: 1, two answers, the end.
constexpr int64_t kVersion = 4;

}  // namespace

absl::Status GoTheWholeWay(TaskStore& store, int64_t now_ms, const std::function<void()>& before) {
  auto repeat = [&](const std::function<absl::Status()>& call) {
    before();
    absl::Status status = call();
    for (int i = 0; i < 10 && absl::IsUnavailable(status); ++i) status = call();
    return status;
  };
  const TaskRef ref = {kProject, "a"};
  RETURN_IF_ERROR(repeat(
      [&] { return store.Submit(kProject, "r", "h", {MakeTask("a", now_ms, 2)}).status(); }));
  for (const std::string who : {"ann", "bob", "cat"}) {
    const std::string token = "t-" + who;
    // An offer whose reply was lost stands: making it again is refused, and changes nothing.
    RETURN_IF_ERROR(repeat([&] {
      return store.Offer("s0", {{ref, who, "as-" + who, token, absl::Hours(1), absl::Hours(1)}})
          .status();
    }));
    RETURN_IF_ERROR(repeat([&] { return store.Accept(ref, who, token).status(); }));
    RETURN_IF_ERROR(repeat([&] {
      if (who == "ann") return store.Release(ref, who, token, Placement::RETURNED, "").status();
      return store.Annotate(ref, who, token, MakeAnnotation("a", who, token)).status();
    }));
  }
  v1::LabelRecord label;
  label.set_answers(2);
  RETURN_IF_ERROR(repeat([&] { return store.Complete(ref, kVersion - 1, label).status(); }));
  return repeat([&] { return store.End(ref, Task::COMPLETED, "").status(); });
}

absl::Status CheckTheWholeWay(TaskStore& store) {
  ASSIGN_OR_RETURN(TaskState task, store.Load({kProject, "a"}));
  ASSIGN_OR_RETURN(ProjectCounts counts, store.Counts(kProject));
  if (task.state != Task::COMPLETED || task.version != kVersion || task.have != 2 ||
      task.open != 0 || task.annotations.size() != 2 || task.label.answers() != 2) {
    return absl::InternalError(absl::StrCat("the task is ", Task::State_Name(task.state), " v",
                                            task.version, " with ", task.annotations.size(),
                                            " answers"));
  }
  if (counts.submitted != 1 || counts.completed != 1 || counts.annotations != 2) {
    return absl::InternalError(absl::StrCat("counted ", counts.submitted, " submitted, ",
                                            counts.completed, " completed, ", counts.annotations,
                                            " answers"));
  }
  return absl::OkStatus();
}

}  // namespace fairlead::store
