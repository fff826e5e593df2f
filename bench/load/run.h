#pragma once
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/result.h"
#include "bench/load/engine.h"
#include "bench/load/options.h"
#include "bench/load/recorder.h"
#include "bench/load/server_usage.h"
#include "bench/load/tls_connection.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// What one thread has for its part of the load. Everything in it is that thread's own but for the
// options and the server's usage, which nobody changes.
struct Lane {
  const Options& options;
  unsigned index, count;  // this one, of how many
  Engine& engine;
  TlsShared& tls;
  Recorder& recorder;
  const ServerUsage& server;
  std::map<std::string, double>& facts;      // of this lane; all lanes' are added up
  std::function<void()> finished;            // for loads that end by themselves: all is done
  std::function<void(std::string)> give_up;  // nothing can be measured, for that reason
};

// One thread's part of a scenario. Made, used and destroyed on that thread, within its engine's
// loop but for construction and destruction.
class Load {
 public:
  virtual ~Load() = default;

  // What must be there before the first operation: tickets, open connections.
  virtual void prepare() {}
  virtual bool ready() const { return true; }
  // Operations begin, in all lanes at the same moment.
  virtual void begin(Time now) = 0;
  // The window is over: nothing new begins. What is under way may end; its latencies count in an
  // open loop.
  virtual void stop() = 0;
  virtual size_t under_way() const = 0;
};

// How a scenario is run.
struct Course {
  std::string operation = "handshake";  // the main latency's name, for the series and for people
  bool timed = true;      // by --warmup and --duration; else until all lanes have finished()
  uint64_t expected = 0;  // operations of all lanes, where that is known: for the progress bar
  std::function<Result<std::unique_ptr<Load>>(Lane&)> make;
  // Adds what follows from all of it.
  std::function<void(Measurement&)> conclude = nullptr;
};

// Runs it on all threads, showing how far it is, and measures. Errors: no such process, core or
// file; a lane that never becomes ready.
Result<Measurement> run_course(const Options& options, const TlsClient& client,
                               const Course& course);

// This lane's part of something that all lanes share.
inline uint64_t share(uint64_t all, const Lane& lane) {
  return all / lane.count + (lane.index < all % lane.count ? 1 : 0);
}
// Errors: fewer connections, or operations, than threads.
Result<> enough_for_threads(const Options& options);

// The names of this lane, of --sni and its like. Errors as Names::make.
Result<Names> names_of(const Lane& lane);

}  // namespace latchkey::bench
