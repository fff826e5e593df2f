#include "edge/worker_thread.h"

#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>
#include <future>

#include "base/loop.h"

namespace latchkey::edge {

namespace {

// What clients wait for is short; the control thread's turns, with a question and an order for each
// new name, may be long. From Linux 6.12 on, a thread that asks for a short slice runs as soon as
// it wakes, with no larger share of the core; before that, the kernel takes no notice.
void come_first() {
  struct {  // struct sched_attr: glibc has none before 2.41
    uint32_t size = 48, policy = SCHED_OTHER;
    uint64_t flags = 0;
    int32_t nice = 0;
    uint32_t priority = 0;
    uint64_t runtime_ns = 300'000, deadline = 0, period = 0;
  } attributes;
  attributes.nice = ::getpriority(PRIO_PROCESS, 0);  // on Linux, this thread's
  ::syscall(SYS_sched_setattr, 0, &attributes, 0U);
}

}  // namespace

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
    come_first();
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
