#include "edge/parking.h"

#include <utility>
#include <variant>

namespace latchkey::edge {

Parking::Parking(ParkingBounds& bounds, Clock& clock, Letters letters, size_t at_once)
    : bounds_(bounds),
      clock_(clock),
      letters_(std::move(letters)),
      at_once_(at_once),
      left_(at_once) {}

std::optional<ParkingBounds::Bound> Parking::park(const ServerName& name,
                                                  const SourcePrefix& source, Parked& handshake) {
  auto taken = bounds_.take(name, source);
  if (const auto* broken = std::get_if<ParkingBounds::Bound>(&taken)) return *broken;
  handshake.bounded_ = std::get<ParkingBounds::Place>(std::move(taken));

  const auto [place, is_new] = waiting_.try_emplace(name);
  Parked::Waiting& waiting = place->second;
  const bool first = ++waiting.count == 1;
  waiting.handshakes.push_back(handshake);
  handshake.waiting_ = &waiting;
  if (first) (is_new ? letters_.want : letters_.back)(name);
  return {};
}

void Parking::leave(const ServerName& name, Parked& handshake) {
  handshake.unlink();
  handshake.bounded_.give_back();
  Parked::Waiting& waiting = *std::exchange(handshake.waiting_, nullptr);
  if (--waiting.count == 0 && !waiting.answered) letters_.left(name);
}

void Parking::resume(const ServerName& name, const Result<CertificatePtr>& outcome) {
  // Out of the map: a handshake that parks from now on starts anew.
  auto found = waiting_.extract(name);
  if (found.empty() || found.mapped().count == 0) return;
  found.mapped().answered = true;
  answered_.push_back({std::move(found), outcome});
  go_on();
}

void Parking::go_on() {
  while (left_ > 0 && !answered_.empty()) {
    const auto batch = answered_.begin();
    Parked::Waiting& waiting = batch->name.mapped();
    if (waiting.count == 0) {  // the others have left
      answered_.erase(batch);
      continue;
    }
    auto& handshake = static_cast<Parked&>(waiting.handshakes.next());
    handshake.unlink();
    handshake.bounded_.give_back();
    handshake.waiting_ = nullptr;
    --waiting.count;
    --left_;
    // The loop runs a timer of no time at all in the same turn.
    if (next_turn_ == nullptr) {
      next_turn_ = clock_.after(Millis(1), [this] {
        const Alarm fired = std::move(next_turn_);
        left_ = at_once_;
        go_on();
      });
    }
    const Result<CertificatePtr> outcome = batch->outcome;
    answered_.splice(answered_.end(), answered_, batch);
    handshake.resume(outcome);
  }
}

}  // namespace latchkey::edge
