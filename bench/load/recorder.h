#pragma once
#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "bench/load/engine.h"
#include "bench/report/measurement.h"

namespace latchkey::bench {

// The time that is measured, the same for all threads: before it is warm-up. Set while they run.
class Window {
 public:
  // With rate: operations belong to the moment for which they were planned, and so their latencies
  // count although they end behind the window.
  Window(bool open_loop, Span interval) : open_loop_(open_loop), interval_(interval) {}

  void begin_at(Time at) { begin_.store(at, std::memory_order_relaxed); }
  void end_at(Time at) { end_.store(at, std::memory_order_relaxed); }
  Time begin() const { return begin_.load(std::memory_order_relaxed); }
  Time end() const { return end_.load(std::memory_order_relaxed); }
  bool holds(Time at) const { return at >= begin() && at < end(); }

  bool open_loop() const { return open_loop_; }
  Span interval() const { return interval_; }

 private:
  const bool open_loop_;
  const Span interval_;
  std::atomic<Time> begin_{Time::max()}, end_{Time::max()};
};

// What one thread counts. Whatever happens outside of the window is left out, so that callers need
// not know of it.
class Recorder {
 public:
  // `main`: the latency whose quantiles are in the series.
  Recorder(const Window& window, std::string main);

  const Window& window() const { return window_; }
  // A histogram of that name, made at the first call. Not for each event: keep the reference.
  Histogram& latency(const std::string& name) { return latency_[name]; }

  void started(Time planned);
  // An operation that began, or was planned, at `planned` is done.
  void done(Time planned, Time now, Histogram& latency);
  void failed(Time planned, Time now, std::string_view kind);
  // A latency that is no operation's end, such as that of the first byte.
  void took(Time planned, Time now, Histogram& latency);
  void resumed(Time now);
  void moved(Time now, uint64_t in, uint64_t out);  // bytes of payload
  // An error that makes no operation fail.
  void noted(Time now, const std::string& kind);

  // For other threads, so that a progress bar moves: since the beginning, warm-up too.
  uint64_t live_done() const { return live_done_.load(std::memory_order_relaxed); }
  uint64_t live_failed() const { return live_failed_.load(std::memory_order_relaxed); }
  // The most frequent failure so far; "" without any. Of our own thread.
  std::string_view main_failure() const;

  // Adds what we counted to `measurement`; the series is what all recorders make together.
  static void merge(const std::vector<const Recorder*>& recorders, Measurement& measurement);

 private:
  struct Slice {
    uint64_t done = 0, failed = 0;
    Histogram latency{};
  };
  Slice& slice(Time now);
  bool counts(Time planned, Time now) const {
    return window_.holds(window_.open_loop() ? planned : now);
  }

  const Window& window_;
  const std::string main_name_;
  std::map<std::string, Histogram> latency_;
  const Histogram* const main_;
  std::map<std::string, uint64_t, std::less<>> errors_, all_errors_;
  std::vector<Slice> slices_;
  uint64_t started_ = 0, done_ = 0, failed_ = 0, resumed_ = 0, in_ = 0, out_ = 0;
  std::atomic<uint64_t> live_done_{0}, live_failed_{0};
};

}  // namespace latchkey::bench
