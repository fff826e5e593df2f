#pragma once
#include <functional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "base/task_set.h"

namespace latchkey {

// Turns any number of wants for the same name into one piece of work, whose outcome all of them
// get, whatever it is. The work goes on when its visitors leave: its outcome will be wanted again.
// Control thread; no I/O and no time of its own.
template <typename T>
class Gate {
 public:
  using Work = std::function<Task<T>(ServerName)>;
  using Done = std::function<void(const Result<T>&)>;

  Gate(Work work, size_t max_flights) : work_(std::move(work)), max_flights_(max_flights) {}
  Gate(const Gate&) = delete;

  // Calls `done` once, with the outcome of the work under way for `name` (started if need be).
  // That may happen before this returns. Destroying the gate drops who still waits.
  void join(const ServerName& name, Done done) {
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

  size_t flights() const { return flights_.size(); }

 private:
  Task<> fly(ServerName name) {
    const Result<T> outcome = co_await work_(name).result();
    // Out of the map first: whoever joins from a callback starts a new flight.
    auto flight = flights_.extract(name);
    for (Done& done : flight.mapped()) done(outcome);
    co_return Unit{};
  }

  const Work work_;
  const size_t max_flights_;  // names at once; beyond it the newest is refused
  std::unordered_map<ServerName, std::vector<Done>> flights_;
  TaskSet tasks_;  // goes first: its flights use the members above
};

}  // namespace latchkey
