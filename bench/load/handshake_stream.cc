#include "bench/load/handshake_stream.h"

#include <algorithm>

#include "bench/load/descriptors.h"
#include "bench/load/failures.h"

namespace latchkey::bench {
namespace {

// Of arrivals that are due, so many begin before others' answers are looked at.
constexpr int kStartsATurn = 4;

}  // namespace

// One connection at a time.
class HandshakeStream::Slot final : public TlsConnection::Events {
 public:
  explicit Slot(HandshakeStream& stream) : stream_(stream), connection_(stream.lane_.tls, *this) {}

  void start(Time planned) {
    planned_ = planned;
    judged_ = false;
    const std::string_view name = stream_.names_.next();
    name_ = stream_.names_.index();
    Tickets* tickets = stream_.plan_.tickets;
    connection_.open(name, tickets == nullptr ? nullptr : tickets->of(name_));
    if (planned == Time{}) planned_ = connection_.opened_at();
    if (stream_.measured()) stream_.lane_.recorder.started(planned_);
  }

  Time planned() const { return planned_; }

 private:
  void on_connected(TlsConnection&) override {
    judged_ = true;
    const Time now = Engine::now();
    const bool resumed = connection_.resumed();
    if (resumed && stream_.measured()) stream_.lane_.recorder.resumed(now);
    if (stream_.plan_.expect == Expect::kRefused) {
      stream_.ended(*this, now, "served, though expected to be refused");
    } else if (stream_.plan_.tickets != nullptr && !resumed) {
      stream_.ended(*this, now, "not resumed");
    } else {
      if (!stream_.measured()) stream_.fact("served");
      stream_.ended(*this, now, {});
    }
    if (connection_.finish()) stream_.released(*this);
  }

  void on_session(TlsConnection&) override {
    if (Tickets* tickets = stream_.plan_.tickets) tickets->keep(name_, connection_.session());
  }

  void on_closed(TlsConnection&, std::string_view failure) override {
    const Time now = Engine::now();
    if (judged_) {
      if (failure == kTimeout) {
        stream_.lane_.recorder.noted(now, "timeout of the server's end after close_notify");
      }
    } else {
      const bool alert = failure.starts_with("alert ");
      if (alert && stream_.plan_.expect != Expect::kServed) {
        stream_.fact(failure);
        failure = {};
      }
      stream_.ended(*this, now, failure);
    }
    stream_.released(*this);
  }

  HandshakeStream& stream_;
  TlsConnection connection_;
  Time planned_{};
  uint64_t name_ = 0;
  bool judged_ = false;
};

HandshakeStream::HandshakeStream(Lane& lane, Plan plan, Names names)
    : lane_(lane),
      plan_(std::move(plan)),
      names_(std::move(names)),
      latency_(lane.recorder.latency(plan_.latency)),
      first_second_(plan_.first_second ? &lane.recorder.latency(plan_.latency + "_first_second")
                                       : nullptr),
      most_open_(plan_.most_open != 0 ? plan_.most_open : usable_descriptors() / lane.count),
      timer_(lane.engine, [this] { start_due(); }) {}

HandshakeStream::~HandshakeStream() = default;

void HandshakeStream::begin(Time now) {
  if (plan_.rate > 0) {
    // Streams' rates are each lane's own already.
    arrivals_.emplace(plan_.rate * lane_.count, plan_.arrivals, now, lane_.index, lane_.count,
                      plan_.stream);
    timer_.set(arrivals_->due());
    return;
  }
  for (unsigned i = 0; i < plan_.connections && has_more(); ++i) {
    if (Slot* slot = free_slot()) start(*slot, {});
  }
}

void HandshakeStream::begin_again(Names names, Histogram* extra, Time now) {
  names_ = std::move(names);
  extra_ = extra;
  begun_ = ended_ = 0;
  begin(now);
}

void HandshakeStream::fact(std::string_view what) {
  using Measured = Plan::Measured;
  if (plan_.measured == Measured::kNo) return;
  const std::string text(what);
  lane_.facts[plan_.measured == Measured::kBeside ? plan_.latency + " " + text : text] += 1;
}

HandshakeStream::Slot* HandshakeStream::free_slot() {
  if (free_.empty()) {
    if (slots_.size() >= most_open_) return nullptr;
    slots_.push_back(std::make_unique<Slot>(*this));
    free_.reserve(slots_.size());
    return slots_.back().get();
  }
  Slot* slot = free_.back();
  free_.pop_back();
  return slot;
}

void HandshakeStream::start(Slot& slot, Time planned) {
  ++begun_;
  slot.start(planned);
}

// Comes back at the next arrival's moment; at once where that has passed. Where no connection is
// free, released() goes on: latencies count from the plan all the same.
void HandshakeStream::start_due() {
  for (int i = 0; i < kStartsATurn && has_more(); ++i) {
    if (arrivals_->due() > Engine::now()) break;
    Slot* slot = free_slot();
    if (slot == nullptr) return;
    const Time planned = arrivals_->due();
    arrivals_->advance();
    start(*slot, planned);
  }
  if (has_more()) timer_.set(arrivals_->due());
}

void HandshakeStream::ended(Slot& slot, Time now, std::string_view failure) {
  using Measured = Plan::Measured;
  Recorder& recorder = lane_.recorder;
  if (plan_.measured == Measured::kNo) return;
  if (!failure.empty()) {
    if (measured()) return recorder.failed(slot.planned(), now, failure);
    return recorder.noted(now, plan_.latency + ": " + std::string(failure));
  }
  if (measured()) {
    recorder.done(slot.planned(), now, latency_);
  } else {
    recorder.took(slot.planned(), now, latency_);
  }
  if (extra_ != nullptr) recorder.took(slot.planned(), now, *extra_);
  const Time second = recorder.window().begin() + std::chrono::seconds(1);
  if (first_second_ != nullptr && slot.planned() < second) {
    recorder.took(slot.planned(), now, *first_second_);
  }
}

void HandshakeStream::released(Slot& slot) {
  ++ended_;
  if (arrivals_) {
    free_.push_back(&slot);
    if (has_more() && timer_.is_clear()) start_due();
  } else if (has_more()) {
    start(slot, {});
  } else {
    free_.push_back(&slot);
  }
  if (plan_.count != 0 && ended_ == plan_.count && all_ended_) all_ended_();
}

}  // namespace latchkey::bench
