#include "base/poller.h"

#include <sys/epoll.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/check.h"

namespace latchkey {
namespace {

constexpr size_t kEventsPerTurn = 256;
constexpr uint64_t kLibuv = ~0ULL;  // what its descriptor is called in our set

}  // namespace

void Poller::Link::leave() {
  previous->next = next;
  next->previous = previous;
  previous = next = this;
}

void Poller::Link::join_end_of(Link& list) {
  previous = list.previous;
  next = &list;
  previous->next = this;
  list.previous = this;
}

void Poller::Link::take_all_of(Link& list) {
  if (list.alone()) return;
  next = list.next;
  previous = list.previous;
  next->previous = previous->next = this;
  list.previous = list.next = &list;
}

Poller::Poller(uv_loop_t& loop) : loop_(loop), set_(::epoll_create1(EPOLL_CLOEXEC)) {
  CHECK(set_ >= 0);
  CHECK(loop.data == nullptr);
  loop.data = this;
  const auto unref = [](auto& handle) { uv_unref(reinterpret_cast<uv_handle_t*>(handle.get())); };
  CHECK(uv_poll_init(&loop, in_libuv_.get(), set_) == 0);
  // The events are taken in on_turn.
  CHECK(uv_poll_start(in_libuv_.get(), UV_READABLE, [](uv_poll_t*, int, int) {}) == 0);
  unref(in_libuv_);
  uv_prepare_init(&loop, before_wait_.get());
  before_wait_->data = this;
  uv_prepare_start(before_wait_.get(), [](uv_prepare_t* handle) {
    auto* self = static_cast<Poller*>(handle->data);
    if (self->running_) return;
    self->end_turn();
    if (self->idle()) {
      uv_idle_stop(self->no_wait_.get());
    } else {
      uv_idle_start(self->no_wait_.get(), [](uv_idle_t*) {});
    }
  });
  uv_check_init(&loop, after_wait_.get());
  after_wait_->data = this;
  uv_check_start(after_wait_.get(),
                 [](uv_check_t* handle) { static_cast<Poller*>(handle->data)->on_turn(); });
  unref(after_wait_);
  uv_idle_init(&loop, no_wait_.get());
  unref(no_wait_);
}

Poller::~Poller() {
  CHECK(idle());
  loop_.data = nullptr;
  in_libuv_.reset();
  ::close(set_);
}

void Poller::on_turn() {
  if (running_) return;
  collect(0);
  deliver();
}

void Poller::run() {
  CHECK(!running_);
  running_ = true;
  // One set lies in the other, never both ways.
  uv_poll_stop(in_libuv_.get());
  uv_idle_stop(no_wait_.get());
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.u64 = kLibuv;
  CHECK(::epoll_ctl(set_, EPOLL_CTL_ADD, uv_backend_fd(&loop_), &event) == 0);
  while (!std::exchange(stopped_, false)) {
    end_turn();
    const int timeout = libuv_timeout();
    const bool rest = idle() && !stopped_;  // a turn's end may stop us, too
    const bool theirs = collect(rest ? timeout : 0);
    deliver();
    if (!stopped_ && (theirs || timeout == 0 || libuv_timeout() == 0)) {
      uv_run(&loop_, UV_RUN_NOWAIT);
    }
  }
  CHECK(::epoll_ctl(set_, EPOLL_CTL_DEL, uv_backend_fd(&loop_), nullptr) == 0);
  CHECK(uv_poll_start(in_libuv_.get(), UV_READABLE, [](uv_poll_t*, int, int) {}) == 0);
  running_ = false;
}

// In ms; 0: libuv has something to do now; -1: it waits for its descriptors only. Before 1.45 libuv
// does not count descriptors that are yet to be entered into its set.
int Poller::libuv_timeout() const {
#if UV_VERSION_HEX < 0x012d00
  if (loop_.watcher_queue[0] != static_cast<const void*>(&loop_.watcher_queue)) return 0;
#endif
  return uv_backend_timeout(&loop_);
}

bool Poller::collect(int timeout) {
  std::array<epoll_event, kEventsPerTurn> events;
  const int count = ::epoll_wait(set_, events.data(), kEventsPerTurn, timeout);
  CHECK(count >= 0 || errno == EINTR);
  uv_update_time(&loop_);
  bool theirs = false;
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = events[static_cast<size_t>(i)];
    if (event.data.u64 == kLibuv) {
      theirs = true;
      continue;
    }
    const Place& place = places_[static_cast<uint32_t>(event.data.u64)];
    if (place.watch == nullptr || place.generation != event.data.u64 >> 32) continue;
    constexpr uint32_t kBroken = EPOLLERR | EPOLLHUP;
    SocketWatch& watch = *place.watch;
    if ((event.events & (EPOLLIN | EPOLLRDHUP | kBroken)) != 0) {
      watch.ready_ |= SocketWatch::kReadable;
    }
    if ((event.events & (EPOLLOUT | kBroken)) != 0) watch.ready_ |= SocketWatch::kWritable;
    if ((event.events & (EPOLLRDHUP | kBroken)) != 0) watch.ready_ |= SocketWatch::kHungUp;
    watch.update();
  }
  return theirs;
}

// One event a watch and turn: what comes up meanwhile waits for the next turn.
void Poller::deliver() {
  Link round;
  round.take_all_of(ready_);
  while (!round.alone() && !(running_ && stopped_)) {
    auto& watch = static_cast<SocketWatch&>(*round.next);
    watch.leave();
    watch.nudged_ = false;
    watch.update();  // it stands in the next round until it says that it is dry, or goes
    watch.owner_.on_socket(watch.ready_ & watch.wanted_);
  }
  // Stopped: what is left comes first when the loop goes on.
  while (!round.alone()) {
    Link& last = *round.previous;
    last.leave();
    last.join_end_of(*ready_.next);
  }
}

void Poller::end_turn() {
  Link round;
  round.take_all_of(late_);
  while (!round.alone()) {
    auto& late = static_cast<Late&>(*round.next);
    late.leave();
    late.owner_.on_late();
  }
  for (const auto& work : turn_ends_) work();
}

uint32_t Poller::enter(SocketWatch& watch) {
  uint32_t place = free_;
  if (place == kNone) {
    place = static_cast<uint32_t>(places_.size());
    places_.emplace_back();
  } else {
    free_ = places_[place].next_free;
  }
  places_[place].watch = &watch;
  return place;
}

void Poller::leave(uint32_t place) {
  places_[place].watch = nullptr;
  ++places_[place].generation;
  places_[place].next_free = std::exchange(free_, place);
}

void Poller::control(int fd, uint32_t place, uint32_t events, bool fresh) {
  epoll_event event{};
  event.events = events | EPOLLET;
  event.data.u64 = (uint64_t{places_[place].generation} << 32) | place;
  int failed = ::epoll_ctl(set_, fresh ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, fd, &event);
  // A descriptor that was handed on by its last watch is in the set already.
  if (failed != 0 && fresh && errno == EEXIST) {
    failed = ::epoll_ctl(set_, EPOLL_CTL_MOD, fd, &event);
  }
  CHECK(failed == 0);
}

Poller::TurnEnd::TurnEnd(uv_loop_t& loop, std::function<void()> work)
    : poller_(Poller::of(loop)),
      at_(poller_.turn_ends_.insert(poller_.turn_ends_.end(), std::move(work))) {}

Poller::TurnEnd::~TurnEnd() {
  poller_.turn_ends_.erase(at_);
}

SocketWatch::SocketWatch(uv_loop_t& loop, int fd, Owner& owner, bool connecting)
    : poller_(Poller::of(loop)),
      owner_(owner),
      fd_(fd),
      place_(poller_.enter(*this)),
      ready_(connecting ? 0 : kWritable),
      asks_writable_(connecting) {
  poller_.control(fd_, place_, EPOLLIN | EPOLLRDHUP | (connecting ? EPOLLOUT : 0U), true);
}

SocketWatch::~SocketWatch() {
  leave();
  poller_.leave(place_);
}

void SocketWatch::want(uint8_t events) {
  wanted_ = events;
  update();
}

void SocketWatch::remove() {
  nudged_ = false;
  want(0);
  ::epoll_ctl(poller_.set_, EPOLL_CTL_DEL, fd_, nullptr);
}

void SocketWatch::nudge(bool due) {
  nudged_ = due;
  update();
}

void SocketWatch::dry() {
  ready_ &= static_cast<uint8_t>(~kReadable);
  update();
}

void SocketWatch::short_read() {
  // The end may lie behind what was read, and the kernel has told of it already.
  if ((ready_ & kHungUp) == 0) dry();
}

void SocketWatch::full() {
  ready_ &= static_cast<uint8_t>(~kWritable);
  update();
  if (std::exchange(asks_writable_, true)) return;
  poller_.control(fd_, place_, EPOLLIN | EPOLLRDHUP | EPOLLOUT, false);
}

void SocketWatch::update() {
  const bool due = nudged_ || (ready_ & wanted_) != 0;
  if (due == !alone()) return;
  if (due) {
    join_end_of(poller_.ready_);
  } else {
    leave();
  }
}

}  // namespace latchkey
