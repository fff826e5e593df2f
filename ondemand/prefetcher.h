#pragma once
#include <functional>
#include <map>
#include <unordered_map>

#include "base/clock.h"
#include "base/result.h"
#include "base/server_name.h"

namespace latchkey {

// Names for which a certificate is wanted though nobody waits for it: hits on port 80, lists of the
// operator's, names whose visitors were refused for want of budget. Starts them a few at a time,
// comes back later to those that were put off. In memory only. Control thread.
class Prefetcher {
 public:
  struct Options {
    size_t max_names = 100'000;  // about 250 bytes each; beyond it the newest is not taken
    size_t max_running = 50;
  };
  // `error`: null when there is a certificate now.
  using Done = std::function<void(const Error* error)>;
  // Begins to get a certificate; may call `done` before it returns.
  using Start = std::function<void(const ServerName& name, Done done)>;

  Prefetcher(Options options, Start start, Clock& clock);
  Prefetcher(const Prefetcher&) = delete;

  // False: there is no room. True also when it is there already. What strangers' visits bring gets
  // half of the room, and comes back a few times only.
  enum class From { kOperator, kVisit };
  bool add(const ServerName& name, From from, Millis delay = Millis(0));
  void remove(const ServerName& name);

  size_t waiting() const { return names_.size() - running_; }
  size_t running() const { return running_; }

 private:
  using Due = std::multimap<TimePoint, ServerName>;
  struct Entry {
    Due::iterator due;  // end(): it runs
    From from;
    int tries = 0;
  };

  void schedule();
  void run();
  void begin(const ServerName& name);
  void finished(const ServerName& name, const Error* error);

  const Options options_;
  const Start start_;
  Clock& clock_;
  Due due_;
  std::unordered_map<ServerName, Entry> names_;
  size_t running_ = 0;
  Alarm alarm_;
  TimePoint armed_ = TimePoint::max();
};

}  // namespace latchkey
