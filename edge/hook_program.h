#pragma once
#include <uv.h>

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/metrics.h"
#include "base/result.h"
#include "base/subprocess.h"
#include "cache/event.h"
#include "edge/config.h"

namespace latchkey::edge {

// Runs a program for each event (base/subprocess.h says how): without arguments, with PATH,
// LATCHKEY_EVENT (the kind) and LATCHKEY_NAME as its whole environment, the event as a line of JSON
// on its standard input. What it writes is logged: 2 KiB of each, output at debug, errors as a
// warning. A program that fails is reported, not run again.
//
// At most 4 run at once, <= 1000 events wait, then the oldest go. Control thread.
class HookProgram {
 public:
  struct Counts {
    Counter started, failed, dropped;
  };

  // All outlive us.
  HookProgram(HookConfig config, uv_loop_t& loop, Clock& clock, Log& log);
  // Programs that run get SIGTERM, and nobody reads what they write then, or waits for them.
  ~HookProgram();
  HookProgram(const HookProgram&) = delete;

  // A bounded event (edge/event_json.h); the program is started from the loop.
  void tell(const Event& event);

  size_t queued() const;
  size_t running() const;
  const Counts& counts() const { return counts_; }

 private:
  struct Impl;
  Counts counts_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
