#pragma once
#include <uv.h>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "base/check.h"
#include "base/pending.h"
#include "base/task.h"

namespace latchkey {

namespace pool_internal {

template <typename T>
struct Job {
  uv_work_t request{};
  std::function<Result<T>()> work;
  std::optional<Result<T>> result{};
  std::weak_ptr<Pending<T>> waiting;
};

}  // namespace pool_internal

// Runs `work` in a thread of libuv's pool (files, and nothing that takes for ever). Dropping the
// task forgets the result; what was begun runs to its end all the same, so `work` must own what it
// uses. `loop` is the calling thread's.
template <typename T>
Task<T> in_pool(uv_loop_t& loop, std::function<Result<T>()> work) {
  using Job = pool_internal::Job<T>;
  auto answer = std::make_shared<Pending<T>>();
  auto* const job = new Job{.work = std::move(work), .waiting = answer};
  job->request.data = job;
  const int queued = uv_queue_work(
      &loop, &job->request,
      [](uv_work_t* request) {
        auto* const running = static_cast<Job*>(request->data);
        running->result.emplace(running->work());
      },
      [](uv_work_t* request, int) {
        const std::unique_ptr<Job> done(static_cast<Job*>(request->data));
        if (auto to = done->waiting.lock()) to->resolve(*std::move(done->result));
      });
  CHECK(queued == 0);
  Pending<T>& waiter = *answer;  // named: g++ 12 would copy `*answer`
  Result<T> result = co_await waiter;
  co_return result;
}

}  // namespace latchkey
