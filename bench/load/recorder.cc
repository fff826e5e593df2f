#include "bench/load/recorder.h"

#include <algorithm>

namespace latchkey::bench {
namespace {

// Of a counter that one thread writes and others read: no locked instruction is needed.
void increment(std::atomic<uint64_t>& counter) {
  counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
}

void count(std::map<std::string, uint64_t, std::less<>>& errors, std::string_view kind) {
  const auto found = errors.find(kind);
  if (found != errors.end()) {
    ++found->second;
  } else {
    errors.emplace(kind, 1);
  }
}

double seconds(Span span) {
  return std::chrono::duration<double>(span).count();
}

}  // namespace

Recorder::Recorder(const Window& window, std::string main)
    : window_(window), main_name_(std::move(main)), main_(&latency_[main_name_]) {}

void Recorder::started(Time planned) {
  if (window_.holds(planned)) ++started_;
}

void Recorder::done(Time planned, Time now, Histogram& latency) {
  increment(live_done_);
  took(planned, now, latency);
  if (!window_.holds(now)) return;
  ++done_;
  Slice& of_now = slice(now);
  ++of_now.done;
  if (&latency == main_) of_now.latency.record(micros_between(planned, now));
}

void Recorder::failed(Time planned, Time now, std::string_view kind) {
  increment(live_failed_);
  count(all_errors_, kind);
  if (!counts(planned, now)) return;
  ++failed_;
  count(errors_, kind);
  if (window_.holds(now)) ++slice(now).failed;
}

void Recorder::took(Time planned, Time now, Histogram& latency) {
  if (counts(planned, now)) latency.record(micros_between(planned, now));
}

void Recorder::resumed(Time now) {
  if (window_.holds(now)) ++resumed_;
}

void Recorder::moved(Time now, uint64_t in, uint64_t out) {
  if (!window_.holds(now)) return;
  in_ += in;
  out_ += out;
}

void Recorder::noted(Time now, const std::string& kind) {
  count(all_errors_, kind);
  if (window_.holds(now)) count(errors_, kind);
}

std::string_view Recorder::main_failure() const {
  const auto most =
      std::max_element(all_errors_.begin(), all_errors_.end(),
                       [](const auto& a, const auto& b) { return a.second < b.second; });
  return most == all_errors_.end() ? std::string_view() : most->first;
}

Recorder::Slice& Recorder::slice(Time now) {
  const auto index = static_cast<size_t>((now - window_.begin()) / window_.interval());
  if (index >= slices_.size()) slices_.resize(index + 1);
  return slices_[index];
}

void Recorder::merge(const std::vector<const Recorder*>& recorders, Measurement& measurement) {
  std::vector<Slice> slices;
  for (const Recorder* recorder : recorders) {
    measurement.started_operations += recorder->started_;
    measurement.done += recorder->done_;
    measurement.failed += recorder->failed_;
    measurement.resumed += recorder->resumed_;
    measurement.bytes_in += recorder->in_;
    measurement.bytes_out += recorder->out_;
    for (const auto& [name, histogram] : recorder->latency_) {
      if (!histogram.empty()) measurement.latency[name].merge(histogram);
    }
    for (const auto& [kind, times] : recorder->errors_) measurement.errors[kind] += times;
    slices.resize(std::max(slices.size(), recorder->slices_.size()));
    for (size_t i = 0; i < recorder->slices_.size(); ++i) {
      slices[i].done += recorder->slices_[i].done;
      slices[i].failed += recorder->slices_[i].failed;
      slices[i].latency.merge(recorder->slices_[i].latency);
    }
  }
  if (recorders.empty()) return;
  const Span interval = recorders[0]->window_.interval();
  for (size_t i = 0; i < slices.size(); ++i) {
    Measurement::Slice slice;
    slice.at = std::min(seconds(interval * static_cast<int64_t>(i + 1)), measurement.seconds);
    slice.done = slices[i].done;
    slice.failed = slices[i].failed;
    slice.p50_us = static_cast<double>(slices[i].latency.quantile(0.5));
    slice.p99_us = static_cast<double>(slices[i].latency.quantile(0.99));
    measurement.series.push_back(slice);
  }
}

}  // namespace latchkey::bench
