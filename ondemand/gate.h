#pragma once
#include <algorithm>
#include <functional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "base/task_set.h"
#include "ondemand/lane.h"

namespace latchkey {

// Turns any number of wants for the same name into one piece of work, whose outcome all of them
// get, whatever it is. The work goes on when its visitors leave: its outcome will be wanted again,
// but not as urgently. Control thread; no I/O and no time of its own.
template <typename T>
class Gate {
 public:
  // The want is of the flight, and outlives the task.
  using Work = std::function<Task<T>(ServerName, Want&)>;
  using Done = std::function<void(const Result<T>&)>;

  Gate(Work work, size_t max_flights) : work_(std::move(work)), max_flights_(max_flights) {}
  Gate(const Gate&) = delete;

  // Calls `done` once, with the outcome of the work under way for `name` (started if need be).
  // That may happen before this returns. Destroying the gate drops who still waits. In
  // Lane::kHandshake it counts as a visitor: `who` tells it from others.
  void join(const ServerName& name, Lane lane, Done done, const void* who = nullptr) {
    const auto running = flights_.find(name);
    if (running != flights_.end()) {
      running->second.waiting.push_back(std::move(done));
      running->second.welcome(lane, who);
      return;
    }
    // Half of the room is for those who wait at a door.
    const size_t room = lane == Lane::kHandshake ? max_flights_ : max_flights_ / 2;
    if (flights_.size() >= room) {
      done(Error{ErrorCode::kThrottled, "too many names are being looked up at once"});
      return;
    }
    Flight& flight = flights_.try_emplace(name, lane).first->second;
    flight.waiting.push_back(std::move(done));
    flight.welcome(lane, who);
    tasks_.spawn(fly(name, flight.want), &flight.place);
  }

  // One of the visitors has left, or is back. Its `done` is called all the same. Who has no part in
  // the flight under way means an earlier one, whose outcome he had not heard of.
  void visitor_left(const ServerName& name, const void* who = nullptr) {
    const auto running = flights_.find(name);
    if (running != flights_.end()) running->second.leave(who);
  }
  void visitor_back(const ServerName& name, const void* who = nullptr) {
    const auto running = flights_.find(name);
    if (running != flights_.end()) running->second.welcome_back(who);
  }

  // Ends the work under way, if there is some; those who wait get `why`. Not from within the work.
  bool call_off(const ServerName& name, const Error& why) {
    auto flight = flights_.extract(name);
    if (flight.empty()) return false;
    tasks_.drop(flight.mapped().place);
    for (Done& done : flight.mapped().waiting) done(why);
    return true;
  }

  // Of the flight under way; null: there is none.
  const Want* find(const ServerName& name) const {
    const auto running = flights_.find(name);
    return running == flights_.end() ? nullptr : &running->second.want;
  }
  size_t flights() const { return flights_.size(); }

 private:
  struct Flight {
    explicit Flight(Lane lane) : want(lane), others(lane) {
      if (lane == Lane::kHandshake) others = Lane::kPrefetch;
    }
    void welcome(Lane lane, const void* who) {
      if (lane == Lane::kHandshake) {
        visitors.push_back(who);
        joined.insert(who);
      } else {
        others = std::min(others, lane);
      }
      want.set_lane(visitors.empty() ? others : Lane::kHandshake);
    }
    void welcome_back(const void* who) {
      if (joined.contains(who)) welcome(Lane::kHandshake, who);
    }
    void leave(const void* who) {
      const auto found = std::find(visitors.begin(), visitors.end(), who);
      if (found == visitors.end()) return;
      visitors.erase(found);
      if (visitors.empty()) want.set_lane(others);
    }

    Want want;
    Lane others;                        // the most urgent of those who are no visitors
    std::vector<const void*> visitors;  // one a worker, one for each operator who waits
    std::set<const void*> joined;       // all who ever were
    TaskSet::Place place;
    std::vector<Done> waiting;
  };

  Task<> fly(ServerName name, Want& want) {
    Task<T> work = work_(name, want);
    const Result<T> outcome = co_await std::move(work).result();
    // Out of the map first: whoever joins from a callback starts a new flight.
    auto flight = flights_.extract(name);
    for (Done& done : flight.mapped().waiting) done(outcome);
    co_return Unit{};
  }

  const Work work_;
  const size_t max_flights_;  // names at once; beyond it the newest is refused
  std::unordered_map<ServerName, Flight> flights_;
  TaskSet tasks_;  // goes first: its flights use the members above
};

}  // namespace latchkey
