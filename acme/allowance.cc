#include "acme/allowance.h"

#include <algorithm>

namespace latchkey::acme {

Task<> Allowance::take() {
  co_await room_for(1);
  made_.push_back(clock_.now());
  co_return Unit{};
}

Task<> Allowance::room_for(size_t requests) {
  while (left() < requests) co_await sleep(clock_, refilled());
  co_return Unit{};
}

void Allowance::note(size_t requests) {
  const size_t room = 2 * requests_ - std::min(made_.size(), 2 * requests_);
  const size_t noted = std::min(requests, room);
  made_.insert(made_.end(), noted, clock_.now());
}

size_t Allowance::left() {
  forget();
  return requests_ - std::min(made_.size(), requests_);
}

Millis Allowance::refilled() {
  forget();
  return made_.empty() ? kWindow : made_.front() + kWindow - clock_.now();
}

void Allowance::forget() {
  while (!made_.empty() && made_.front() + kWindow <= clock_.now()) made_.pop_front();
}

}  // namespace latchkey::acme
