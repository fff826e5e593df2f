#pragma once
#include "cache/event.h"

namespace latchkey {

// Where events go. Control thread; never blocks, never fails.
class EventSink {
 public:
  virtual ~EventSink() = default;
  // `at` and `keep_until` are filled in where they are not set.
  virtual void tell(Event event) = 0;
};

}  // namespace latchkey
