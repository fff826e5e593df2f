#pragma once
#include <functional>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/task_set.h"
#include "cache/store.h"
#include "ondemand/events.h"

namespace latchkey::edge {

// Events go to the log, to the event table (written behind, many at once), and to those who were
// asked to be told: the webhook, the hook program. What the store cannot take is kept in memory
// (<= 10 000) and written when it works again. Control thread.
class EventLog final : public EventSink {
 public:
  struct Counts {
    Counter told, written, dropped;
  };
  // All outlive us. `listeners`: each hears of every event, in order; must not block.
  using Listener = std::function<void(const Event&)>;
  EventLog(Store& store, std::vector<Listener> listeners, Clock& clock, Log& log);
  ~EventLog() override;
  EventLog(const EventLog&) = delete;

  void tell(Event event) override;
  // Done when what was told so far is in the table, or cannot be.
  Task<> flush();
  const Counts& counts() const { return counts_; }

 private:
  struct Impl;
  Counts counts_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
