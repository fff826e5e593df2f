#include "edge/parking.h"

#include <utility>

namespace latchkey::edge {

Parking::Parking(Limits limits, std::atomic<size_t>& total, Want want)
    : limits_(limits), total_(total), want_(std::move(want)) {}

bool Parking::park(const ServerName& name, Parked& handshake) {
  if (total_.fetch_add(1, std::memory_order_relaxed) >= limits_.total) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  const auto [place, is_new] = waiting_.try_emplace(name);
  if (place->second.count >= limits_.per_name) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return false;
  }
  ++place->second.count;
  place->second.handshakes.push_back(handshake);
  if (is_new) want_(name);
  return true;
}

void Parking::leave(const ServerName& name, Parked& handshake) {
  handshake.unlink();
  total_.fetch_sub(1, std::memory_order_relaxed);
  // Gone already when we are in a batch that is being resumed right now.
  const auto place = waiting_.find(name);
  if (place != waiting_.end() && place->second.count > 0) --place->second.count;
}

void Parking::resume(const ServerName& name, const Result<CertificatePtr>& outcome) {
  const auto place = waiting_.find(name);
  if (place == waiting_.end()) return;
  // Out of the map first: a handshake that parks again from within starts anew.
  Link batch;
  batch.take(place->second.handshakes);
  waiting_.erase(place);
  while (!batch.alone()) {
    auto& handshake = static_cast<Parked&>(batch.next());
    handshake.unlink();
    total_.fetch_sub(1, std::memory_order_relaxed);
    handshake.resume(outcome);
  }
}

}  // namespace latchkey::edge
