#include "bench/load/http_load.h"

#include <algorithm>
#include <chrono>
#include <string>
#include <utility>

namespace latchkey::bench {
namespace {

using namespace std::chrono_literals;

constexpr size_t kOpenAtOnce = 64;  // before the first request; a backlog holds more
constexpr Span kLateEach = 100ms;

}  // namespace

HttpLoad::HttpLoad(Lane& lane, Names names, Plan plan)
    : lane_(lane),
      names_(std::move(names)),
      request_(std::move(plan.request)),
      rate_(plan.rate),
      left_(plan.count),
      request_latency_(lane.recorder.latency("request")),
      first_byte_latency_(lane.recorder.latency("first_byte")),
      peers_(plan.connections),
      arrival_timer_(lane.engine, [this] { plan_due(); }),
      late_timer_(lane.engine, [this] { look_for_late(); }) {
  HttpPeer::Owner& owner = *this;
  for (uint32_t i = 0; i < peers_.size(); ++i) {
    peers_[i].http = std::make_unique<HttpPeer>(lane.tls, request_, owner, i);
    peers_[i].slots.resize(request_.streams);
  }
}

HttpLoad::~HttpLoad() = default;

void HttpLoad::prepare() {
  if (request_.close) {
    seen_up_ = peers_.size();
    return;
  }
  while (opened_ < std::min(peers_.size(), kOpenAtOnce)) open_next();
}

void HttpLoad::open_next() {
  if (opened_ < peers_.size()) open(peers_[opened_++]);
}

void HttpLoad::open(Peer& peer) {
  peer.http->open(names_.next());
}

void HttpLoad::begin(Time now) {
  running_ = true;
  late_timer_.set(now + kLateEach);
  if (rate_ > 0) {
    arrivals_.emplace(rate_, lane_.options.arrivals, now, lane_.index, lane_.count);
    arrival_timer_.set(arrivals_->due());
  }
  for (uint32_t peer = 0; peer < peers_.size(); ++peer) {
    if (!usable(peers_[peer])) continue;
    for (uint32_t slot = 0; slot < request_.streams; ++slot) offer({peer, slot});
    if (peers_[peer].http->up()) peers_[peer].http->flush();
  }
}

void HttpLoad::stop() {
  running_ = false;
  stopped_ = true;
  arrival_timer_.clear();
  for (const Time planned : std::exchange(waiting_, {})) {
    lane_.recorder.failed(planned, Engine::now(), "no free connection");
  }
}

// A slot of it can begin with a request now.
bool HttpLoad::usable(const Peer& peer) const {
  return request_.close ? peer.http->closed() : peer.http->up();
}

// A slot is free.
void HttpLoad::offer(Place place) {
  if (!running_) return;
  if (rate_ == 0) {
    if (left_ == 0) return;
    --left_;
    const Time now = Engine::now();
    lane_.recorder.started(now);
    return start(place, now, now);
  }
  if (!waiting_.empty()) {
    const Time planned = waiting_.front();
    waiting_.pop_front();
    return start(place, planned, Engine::now());
  }
  if (std::exchange(peers_[place.peer].slots[place.slot].listed, true)) return;
  free_.push_back(place);
}

std::optional<HttpLoad::Place> HttpLoad::take_free() {
  while (!free_.empty()) {
    const Place place = free_.back();
    free_.pop_back();
    Peer& peer = peers_[place.peer];
    peer.slots[place.slot].listed = false;
    if (usable(peer)) return place;  // else it will be offered again
  }
  return std::nullopt;
}

void HttpLoad::plan_due() {
  const Time now = Engine::now();
  for (; left_ > 0 && arrivals_->due() <= now; arrivals_->advance()) {
    --left_;
    const Time planned = arrivals_->due();
    lane_.recorder.started(planned);
    const auto place = take_free();
    if (!place) {
      waiting_.push_back(planned);
      continue;
    }
    start(*place, planned, now);
    HttpPeer& http = *peers_[place->peer].http;
    if (http.up()) http.flush();
  }
  if (left_ > 0) arrival_timer_.set(arrivals_->due());
}

void HttpLoad::start(Place place, Time planned, Time now) {
  Peer& peer = peers_[place.peer];
  Slot& slot = peer.slots[place.slot];
  slot.planned = planned;
  slot.began = now;
  slot.busy = true;
  ++under_way_;
  if (request_.close) return open(peer);  // on_up sends it
  peer.http->request(place.slot);
}

void HttpLoad::on_up(HttpPeer& http) {
  const uint32_t index = http.tag();
  Peer& peer = peers_[index];
  if (request_.close) return http.request(0);
  if (!std::exchange(peer.seen_up, true)) {
    ++seen_up_;
    open_next();
  }
  for (uint32_t slot = 0; slot < request_.streams; ++slot) offer({index, slot});
}

void HttpLoad::on_first_byte(HttpPeer& http, uint32_t number) {
  const Slot& slot = peers_[http.tag()].slots[number];
  lane_.recorder.took(slot.planned, Engine::now(), first_byte_latency_);
}

void HttpLoad::on_answer(HttpPeer& http, uint32_t number, std::string_view failure) {
  ended(peers_[http.tag()].slots[number], Engine::now(), failure);
  if (!request_.close && http.up()) offer({http.tag(), number});
}

void HttpLoad::ended(Slot& slot, Time now, std::string_view failure) {
  slot.busy = false;
  --under_way_;
  lane_.recorder.moved(now, std::exchange(in_, 0), std::exchange(out_, 0));
  if (failure.empty()) {
    lane_.recorder.done(slot.planned, now, request_latency_);
  } else {
    lane_.recorder.failed(slot.planned, now, failure);
  }
  if (left_ == 0 && under_way_ == 0 && waiting_.empty()) lane_.finished();
}

void HttpLoad::on_down(HttpPeer& http, std::string_view failure) {
  Peer& peer = peers_[http.tag()];
  if (request_.close) {
    // One that never came up has lost its request on the way.
    if (peer.slots[0].busy) {
      ended(peer.slots[0], Engine::now(), failure.empty() ? TlsConnection::kEnded : failure);
    }
    return offer({http.tag(), 0});
  }
  if (stopped_) return;
  if (!failure.empty()) {
    if (!running_) return lane_.give_up("opening the connections: " + std::string(failure));
    const Time now = Engine::now();
    lane_.recorder.failed(now, now, failure);
  }
  lane_.facts["connections_opened_anew"] += 1;
  open(peer);
}

void HttpLoad::on_moved(uint64_t in, uint64_t out) {
  in_ += in;
  out_ += out;
}

void HttpLoad::look_for_late() {
  const Time now = Engine::now();
  const auto limit =
      std::chrono::duration_cast<Span>(std::chrono::duration<double>(lane_.options.timeout));
  for (Peer& peer : peers_) {
    const bool late = std::any_of(peer.slots.begin(), peer.slots.end(), [&](const Slot& slot) {
      return slot.busy && slot.began + limit < now;
    });
    if (late && peer.http->connection().connected()) peer.http->fail("timeout");
  }
  late_timer_.set(now + kLateEach);
}

}  // namespace latchkey::bench
