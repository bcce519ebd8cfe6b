// From an entry of a slot's event stream (common/redis/lua: emit) to the Event of the record log.
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "common/redis/connection.h"
#include "fairlead/store/v1/records.pb.h"

namespace fairlead::store {

// Whoever keeps something in step with the events. Events of one slot arrive in order, those of
// different slots at the same time from different threads.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // `position` is the event's place in the record log; −1 for a volatile one.
  virtual void Apply(const v1::Event& event, int64_t position) = 0;
  // An event that Apply() will bring once it is on disk: for what need not wait for that. It may
  // come more than once, and where Redis loses it Apply() never follows.
  virtual void Foresee(const v1::Event& /*event*/) {}
};

// `entry` is [id, [field, value, …]] as XREAD gives it. DATA_LOSS when it is damaged or of a kind
// this version does not know (then a newer scheduler wrote it: stop, do not drop it).
absl::StatusOr<v1::Event> DecodeEvent(absl::string_view slot, absl::string_view incarnation,
                                      const redis::Reply& entry);

// The finished work that the event pays for: an answer, or one too many of a task that had ended.
// nullptr where it pays nothing.
const v1::AnnotationRecord* PaidWork(const v1::Event& event);

// Volatile events travel in the stream only; a rebuild does without them. A lapsed offer is no such
// event: responsiveness is scored from it, and scores are recomputed from the log.
bool IsVolatile(const v1::Event& event);

}  // namespace fairlead::store
