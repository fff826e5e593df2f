#pragma once
#include "base/loop.h"
#include "base/task.h"

namespace latchkey::test {

// Runs the loop until the task is done. Its outcome.
template <typename T>
Result<T> run(Loop& loop, Task<T> task) {
  task.start();
  loop.run_until([&] { return task.done(); });
  return std::move(task.outcome());
}

// Turns the loop so many times, or until the task is done.
template <typename T>
void turn(Loop& loop, const Task<T>& task, int turns) {
  loop.run_until([&] { return task.done() || turns-- == 0; });
}

}  // namespace latchkey::test
