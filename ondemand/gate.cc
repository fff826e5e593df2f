#include "ondemand/gate.h"

namespace latchkey {

void Gate::join(const ServerName& name, Done done) {
  const auto running = flights_.find(name);
  if (running != flights_.end()) {
    running->second.push_back(std::move(done));
    return;
  }
  if (flights_.size() >= max_flights_) {
    done(Error{ErrorCode::kThrottled, "too many names are being looked up at once"});
    return;
  }
  flights_[name].push_back(std::move(done));
  tasks_.spawn(fly(name));
}

Task<> Gate::fly(ServerName name) {
  Result<CertificatePtr> outcome = co_await issue_(name).result();

  // Out of the map first: whoever joins from a callback starts a new flight.
  auto flight = flights_.extract(name);
  for (Done& done : flight.mapped()) done(outcome);
  co_return Unit{};
}

}  // namespace latchkey
