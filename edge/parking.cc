#include "edge/parking.h"

#include <utility>
#include <variant>

namespace latchkey::edge {

Parking::Parking(ParkingBounds& bounds, Letters letters)
    : bounds_(bounds), letters_(std::move(letters)) {}

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
  // Out of the map first: a handshake that parks again from within starts anew.
  auto found = waiting_.extract(name);
  if (found.empty()) return;
  Parked::Waiting& batch = found.mapped();
  batch.answered = true;
  while (!batch.handshakes.alone()) {
    auto& handshake = static_cast<Parked&>(batch.handshakes.next());
    handshake.unlink();
    handshake.bounded_.give_back();
    handshake.waiting_ = nullptr;
    --batch.count;
    handshake.resume(outcome);
  }
}

}  // namespace latchkey::edge
