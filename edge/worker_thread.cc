#include "edge/worker_thread.h"

#include <future>

#include "base/loop.h"
#include "base/short_slices.h"

namespace latchkey::edge {

struct WorkerThread::State {
  Loop* loop = nullptr;      // written before the address is handed out; used on the thread
  Worker* worker = nullptr;  // the same
};

WorkerThread::WorkerThread(const WorkerShared& shared, Worker::Settings settings,
                           Worker::Sockets sockets)
    : state_(std::make_shared<State>()) {
  std::promise<Mailbox::Address> started;
  auto address = started.get_future();
  thread_ = std::thread([&shared, settings = std::move(settings), sockets = std::move(sockets),
                         state = state_, started = std::move(started)]() mutable {
    // What clients wait for is short; the control thread's turns, with a question and an order for
    // each new name, may be long.
    ask_for_short_slices();
    Loop loop;
    Worker worker(loop, shared, std::move(settings), std::move(sockets));
    state->loop = &loop;
    state->worker = &worker;
    started.set_value(loop.address());
    loop.run();
  });
  address_ = address.get();
}

WorkerThread::~WorkerThread() {
  address_->post([state = state_] { state->loop->stop(); });
  thread_.join();
}

void WorkerThread::post(std::function<void(Worker&)> letter) {
  address_->post([state = state_, letter = std::move(letter)] { letter(*state->worker); });
}

}  // namespace latchkey::edge
