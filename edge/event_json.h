#pragma once
#include <string>
#include <string_view>

#include "cache/event.h"

namespace latchkey::edge {

// The event within its bounds (cache/event.h), every text on one line and UTF-8: what may be
// stored, sent and shown. A text loses its end, control characters become "\u001b"; details that
// are too long, or no JSON object, become {"cut": how they began}.
Event bounded(Event event);

// A bounded event as the webhook and the hook program are given it: one line, about 9 KiB at most.
std::string event_json(const Event& event, std::string_view id);

// "3f1c…-1", "3f1c…-2", …: of events as somebody is told of them, never the same again, and in
// order while the process lives.
class EventIds {
 public:
  EventIds();
  std::string next();

 private:
  std::string process_;
  uint64_t last_ = 0;
};

}  // namespace latchkey::edge
