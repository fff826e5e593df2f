#pragma once
#include <uv.h>

#include <cstdint>
#include <functional>
#include <list>
#include <utility>
#include <vector>

#include "base/uv.h"

namespace latchkey {

class SocketWatch;

// The sockets of one libuv loop, in an epoll set of their own: libuv spends a system call on each
// change of interest and several on each new socket; here a socket costs one, when it comes.
// While run() turns the loop, one epoll_wait serves both, and libuv's turn comes when it has
// something due. Under a bare uv_run (tests) all works the same, a little slower. One thread.
class Poller {
 public:
  // Takes `loop.data`.
  explicit Poller(uv_loop_t& loop);
  ~Poller();
  Poller(const Poller&) = delete;
  // REQUIRES: the loop has one (a latchkey::Loop's has).
  static Poller& of(uv_loop_t& loop) { return *static_cast<Poller*>(loop.data); }

  // Turns the loop until stop().
  void run();
  void stop() { stopped_ = true; }

  class Late;

  // Calls `work` at the end of each turn, before the loop waits. `work` must not make or drop one.
  class TurnEnd {
   public:
    TurnEnd(uv_loop_t& loop, std::function<void()> work);
    ~TurnEnd();
    TurnEnd(const TurnEnd&) = delete;

   private:
    Poller& poller_;
    std::list<std::function<void()>>::iterator at_;
  };

 private:
  friend class SocketWatch;

  // Doubly linked, so that a watch leaves a list wherever it stands.
  struct Link {
    Link* previous = this;
    Link* next = this;
    bool alone() const { return next == this; }
    void leave();
    void join_end_of(Link& list);
    void take_all_of(Link& list);
  };

  // What epoll hands back is a place and its generation, not a pointer: a descriptor that a child
  // process holds open for a moment still reports after we have closed ours.
  struct Place {
    SocketWatch* watch = nullptr;
    uint32_t generation = 0;
    uint32_t next_free = kNone;
  };
  static constexpr uint32_t kNone = ~0U;

  uint32_t enter(SocketWatch& watch);
  void leave(uint32_t place);
  void control(int fd, uint32_t place, uint32_t events, bool fresh);

  int libuv_timeout() const;
  bool idle() const { return ready_.alone() && late_.alone(); }
  bool collect(int timeout);  // true: libuv's own descriptors have something
  void deliver();
  void end_turn();
  void on_turn();  // under uv_run

  uv_loop_t& loop_;
  int set_ = -1;
  Link ready_;                 // watches with something to deliver
  Link late_;                  // Late
  std::vector<Place> places_;  // as many as there were watches at once: descriptors bound them
  uint32_t free_ = kNone;
  std::list<std::function<void()>> turn_ends_;
  bool running_ = false;  // run() turns the loop
  bool stopped_ = false;
  UvPtr<uv_poll_t> in_libuv_{new uv_poll_t};
  UvPtr<uv_prepare_t> before_wait_{new uv_prepare_t};  // keeps the loop alive
  UvPtr<uv_check_t> after_wait_{new uv_check_t};
  UvPtr<uv_idle_t> no_wait_{new uv_idle_t};
};

// What is to be done once for all that this turn still brings: after its events, before TurnEnd.
// May go at any time. Loop's thread.
class Poller::Late : private Poller::Link {
 public:
  class Owner {
   public:
    // May destroy the Late, and may ask again: then it comes a turn later.
    virtual void on_late() = 0;

   protected:
    ~Owner() = default;
  };

  Late(Poller& poller, Owner& owner) : poller_(poller), owner_(owner) {}
  ~Late() { leave(); }
  Late(const Late&) = delete;

  // on_late() comes once.
  void ask() {
    if (alone()) join_end_of(poller_.late_);
  }

 private:
  friend class Poller;

  Poller& poller_;
  Owner& owner_;
};

// Readiness of one socket (or listener), level-triggered for whoever uses it: as long as what is
// wanted holds, an event comes each turn. The user says when it does not hold any more (dry, full).
// Loop's thread.
class SocketWatch : private Poller::Link {
 public:
  enum : uint8_t {
    kReadable = 1,
    kWritable = 2,
    kHungUp = 4,  // the peer has closed its side, or the connection is broken
  };
  class Owner {
   public:
    // Some of what is wanted; 0 for a bare nudge. May destroy the watch.
    virtual void on_socket(uint8_t ready) = 0;

   protected:
    ~Owner() = default;
  };

  // `fd` (non-blocking) stays the caller's, who drops this before he closes it, or hands it on.
  // `connecting`: it is not writable before the kernel says so.
  SocketWatch(uv_loop_t& loop, int fd, Owner& owner, bool connecting = false);
  ~SocketWatch();
  SocketWatch(const SocketWatch&) = delete;

  void want(uint8_t events);
  // Out of the set, for a socket that lives on elsewhere (in another process) after we have closed
  // ours. Nothing comes any more.
  void remove();
  // One event at the next turn, whatever is ready. False takes that back.
  void nudge(bool due = true);

  Poller& poller() const { return poller_; }

  // False: a read would say EAGAIN.
  bool readable() const { return (ready_ & kReadable) != 0; }
  void dry();         // a read or accept said EAGAIN
  void short_read();  // a read returned less than there was room for: nothing more is there for now
  void full();        // a write said EAGAIN, or took less than it was given

 private:
  friend class Poller;
  void update();

  Poller& poller_;
  Owner& owner_;
  const int fd_;
  const uint32_t place_;
  uint8_t ready_;
  uint8_t wanted_ = 0;
  bool nudged_ = false;
  bool asks_writable_;  // the kernel is to say when it is
};

}  // namespace latchkey
