#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task.h"
#include "cache/store.h"
#include "ondemand/events.h"

namespace latchkey::edge {

// Events go to the event table (written behind, many at once), and to those who were asked to be
// told: the webhook, the hook program. Who tells one has logged it. What the store cannot take is
// kept in memory (<= 10 000, then the oldest go) and written when it works again. Control thread.
class EventLog final : public EventSink {
 public:
  struct Counts {
    Counter told, written, dropped;
  };
  // The store, the clock and the log outlive us. `listeners`: each hears of every event, in order;
  // must not block, nor tell.
  using Listener = std::function<void(const Event&)>;
  EventLog(Store& store, std::vector<Listener> listeners, Clock& clock, Log& log);
  // Gives the store what has not been written yet.
  ~EventLog() override;
  EventLog(const EventLog&) = delete;

  // Texts are made one line and cut to their bounds (cache/event.h); details that are too long, or
  // no JSON object, are replaced by {"cut": how they began}.
  void tell(Event event) override;
  // Done when what was told so far is in the table, or cannot be for now. Drop the task before us.
  Task<> flush();
  const Counts& counts() const { return counts_; }

 private:
  struct Impl;
  Counts counts_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
