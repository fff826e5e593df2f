#pragma once
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/load/arrivals.h"
#include "bench/load/names.h"
#include "bench/load/run.h"
#include "bench/load/tickets.h"

namespace latchkey::bench {

// Handshakes one after the other in one lane, a connection each: so many at a time, or at planned
// moments.
class HandshakeStream {
 public:
  enum class Expect { kServed, kRefused, kEither };
  struct Plan {
    std::string latency = "handshake";
    unsigned connections = 1;  // closed loop: so many at a time
    double rate = 0;           // open loop, of this lane's stream alone
    Arrivals::Kind arrivals = Arrivals::Kind::kPoisson;
    unsigned stream = 0;              // see Arrivals
    uint64_t count = 0;               // after so many, nothing new begins; 0: until stop()
    Expect expect = Expect::kServed;  // whatever else happens has failed
    Tickets* tickets = nullptr;       // resume with these; full handshakes have failed. Outlives us
    // kBeside: of others, which are measured: only latencies, errors without an operation that
    // failed, and facts ("unknown_served", "unknown alert internal_error").
    enum class Measured { kYes, kBeside, kNo } measured = Measured::kYes;
    bool first_second = false;  // also as LATENCY_first_second, of the window
    uint64_t most_open = 0;     // connections; 0: as many as there are descriptors
  };

  HandshakeStream(Lane& lane, Plan plan, Names names);
  ~HandshakeStream();
  HandshakeStream(const HandshakeStream&) = delete;

  // Called when `count` are done or have failed. May not destroy the stream.
  void when_all_ended(std::function<void()> all_ended) { all_ended_ = std::move(all_ended); }

  void begin(Time now);
  void stop() { stopped_ = true; }
  size_t under_way() const { return slots_.size() - free_.size(); }
  // Of a stream with a count that has ended: the same once more, from the first name on. `extra`:
  // counts its latencies beside the usual one.
  void begin_again(Names names, Histogram* extra, Time now);
  void count_also(Histogram& extra) { extra_ = &extra; }

 private:
  class Slot;
  bool has_more() const { return !stopped_ && (plan_.count == 0 || begun_ < plan_.count); }
  Slot* free_slot();  // null: there are as many as may be
  void start(Slot& slot, Time planned);
  void start_due();
  void ended(Slot& slot, Time now, std::string_view failure);  // empty: as expected
  void released(Slot& slot);
  bool measured() const { return plan_.measured == Plan::Measured::kYes; }
  void fact(std::string_view what);

  Lane& lane_;
  const Plan plan_;
  Names names_;
  Histogram& latency_;
  Histogram* const first_second_;  // or null
  Histogram* extra_ = nullptr;     // or null
  const size_t most_open_;
  std::function<void()> all_ended_;
  std::vector<std::unique_ptr<Slot>> slots_;
  std::vector<Slot*> free_;
  std::optional<Arrivals> arrivals_;
  Engine::Timer timer_;
  uint64_t begun_ = 0, ended_ = 0;
  bool stopped_ = false;
};

}  // namespace latchkey::bench
