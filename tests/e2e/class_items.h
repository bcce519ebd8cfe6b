#pragma once

#include "fairlead/v1/task_service.pb.h"

namespace fairlead::e2e {

// CLASS questions "Which letter: A?" whose right answer is known: no image, no model, only the
// queue.
class ClassItems {
 public:
  static v1::Task Task(int index);
  static v1::Answer Answer(int index);
};

}  // namespace fairlead::e2e
