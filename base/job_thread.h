#pragma once
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "base/mailbox.h"
#include "base/pending.h"
#include "base/task.h"

namespace latchkey {

// A thread for work that blocks (a database, a disk). Jobs run one at a time, in order; their
// results come home by mailbox. Owned and called by the home loop's thread.
class JobThread {
 public:
  explicit JobThread(Mailbox::Address home) : home_(std::move(home)) {
    thread_ = std::thread([this] { work(); });
  }
  // Finishes every job that was accepted, then ends the thread: nothing accepted is lost.
  ~JobThread() {
    {
      std::lock_guard lock(mutex_);
      closing_ = true;
    }
    wake_.notify_one();
    thread_.join();
  }
  JobThread(const JobThread&) = delete;

  // Runs `job` on the thread. Dropping the task forgets the result; a job that was accepted runs
  // all the same. `job` must own what it uses.
  template <typename T>
  Task<T> run(std::function<Result<T>()> job) {
    auto answer = std::make_shared<Pending<T>>();
    std::weak_ptr<Pending<T>> waiting = answer;
    push([home = home_, waiting, job = std::move(job)] {
      auto result = std::make_shared<Result<T>>(job());
      home.post([waiting, result] {
        if (auto to = waiting.lock()) to->resolve(std::move(*result));
      });
    });
    Pending<T>& waiter = *answer;  // named: g++ 12 would copy `*answer`
    Result<T> result = co_await waiter;
    co_return result;
  }

  // Runs `job` and tells nobody.
  void push(std::function<void()> job) {
    {
      std::lock_guard lock(mutex_);
      jobs_.push_back(std::move(job));
    }
    wake_.notify_one();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      wake_.wait(lock, [this] { return closing_ || !jobs_.empty(); });
      if (jobs_.empty()) return;
      auto job = std::move(jobs_.front());
      jobs_.pop_front();
      lock.unlock();
      job();
      job = nullptr;  // what it owned dies outside the lock
      lock.lock();
    }
  }

  Mailbox::Address home_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;  // guarded by mutex_; bounded by who calls run()
  bool closing_ = false;                    // guarded by mutex_
  std::thread thread_;
};

}  // namespace latchkey
