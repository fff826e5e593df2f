#pragma once
#include "base/loop.h"
#include "base/task.h"

namespace latchkey::test {

// Runs the loop until the task is done. Its outcome.
template <typename T>
Result<T> run(Loop& loop, Task<T> task) {
  task.start();
  while (!task.done()) uv_run(&loop.uv(), UV_RUN_ONCE);
  return std::move(task.outcome());
}

}  // namespace latchkey::test
