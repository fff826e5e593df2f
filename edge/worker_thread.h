#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/mailbox.h"
#include "edge/worker.h"

namespace latchkey::edge {

// A worker and its thread. Owned by the control thread.
class WorkerThread {
 public:
  // Takes the sockets. `shared` outlives us.
  WorkerThread(const WorkerShared& shared, Worker::Settings settings, Worker::Sockets sockets);
  // Stops the loop, cutting what is still open, and waits for the thread.
  ~WorkerThread();
  WorkerThread(const WorkerThread&) = delete;

  // Runs `letter` with the worker, on its thread.
  void post(std::function<void(Worker&)> letter);

 private:
  struct State;

  std::shared_ptr<State> state_;
  std::optional<Mailbox::Address> address_;
  std::thread thread_;
};

}  // namespace latchkey::edge
