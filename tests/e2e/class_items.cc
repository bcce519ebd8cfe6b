#include "tests/e2e/class_items.h"

#include <string>

#include "absl/strings/str_cat.h"

namespace fairlead::e2e {

v1::Task ClassItems::Task(int index) {
  v1::Task task;
  task.mutable_payload()->mutable_class_item()->set_text(absl::StrCat("item ", index));
  task.set_external_id(absl::StrCat("item-", index));
  return task;
}

v1::Answer ClassItems::Answer(int index) {
  v1::Answer answer;
  answer.set_class_name(std::string(1, static_cast<char>('a' + index % 4)));
  return answer;
}

}  // namespace fairlead::e2e
