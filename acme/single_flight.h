#pragma once
#include <functional>
#include <utility>

#include "base/link.h"
#include "base/pending.h"
#include "base/task_set.h"

namespace latchkey::acme {

// One run of a task for all who ask while it runs. The run belongs to this object, not to a
// caller: who goes away takes only himself out of the queue. One loop thread.
template <typename T>
class SingleFlight {
 public:
  bool flying() const { return flying_; }

  // The result of the run under way; else of `make()`, started now.
  Task<T> join(std::function<Task<T>()> make) {
    Waiter waiter;
    waiters_.push_back(waiter);
    if (!flying_) {
      flying_ = true;
      flights_.spawn(fly(make()));
    }
    Result<T> result = co_await waiter.pending;
    co_return result;
  }

 private:
  struct Waiter : Link {
    Pending<T> pending;
  };

  Task<> fly(Task<T> task) {
    const Result<T> result = co_await std::move(task).result();
    flying_ = false;
    Link landed;  // a waiter may join again at once, which is then the next flight
    landed.take(waiters_);
    while (!landed.alone()) {
      auto& waiter = static_cast<Waiter&>(landed.next());
      waiter.unlink();
      waiter.pending.resolve(result);
    }
    co_return Unit{};
  }

  bool flying_ = false;
  Link waiters_;     // bounded by who asks: the orders in flight
  TaskSet flights_;  // before it goes, every waiter has gone
};

}  // namespace latchkey::acme
