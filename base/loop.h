#pragma once
#include <uv.h>

#include <memory>

#include "base/check.h"
#include "base/mailbox.h"
#include "base/poller.h"
#include "base/uv_clock.h"

namespace latchkey {

// A libuv loop with its clock, poller and mailbox. Made, run and destroyed by one thread; only
// `address` may be used from others. Whoever put handles on it drops them before the loop goes.
class Loop {
 public:
  Loop() {
    CHECK(uv_loop_init(&uv_) == 0);
    clock_ = std::make_unique<UvClock>(uv_);
    poller_ = std::make_unique<Poller>(uv_);
    mailbox_ = std::make_unique<Mailbox>(uv_);
  }
  ~Loop() {
    mailbox_.reset();
    poller_.reset();
    clock_.reset();
    uv_run(&uv_, UV_RUN_DEFAULT);  // lets the close callbacks come
    CHECK(uv_loop_close(&uv_) == 0);
  }
  Loop(const Loop&) = delete;

  uv_loop_t& uv() { return uv_; }
  Clock& clock() { return *clock_; }
  Mailbox::Address address() const { return mailbox_->address(); }

  // Runs until stop() is called on this loop's thread (post it from others).
  void run() { poller_->run(); }
  void stop() { poller_->stop(); }

  // Runs until `done()`, which is asked first and at the end of each turn. (A bare uv_run with
  // UV_RUN_ONCE may sleep for ever after a timer that was due before it and did what was waited
  // for.)
  template <typename Done>
  void run_until(Done done) {
    if (done()) return;
    const Poller::TurnEnd end(uv_, [&] {
      if (done()) stop();
    });
    run();
  }

 private:
  uv_loop_t uv_{};
  std::unique_ptr<UvClock> clock_;
  std::unique_ptr<Poller> poller_;
  std::unique_ptr<Mailbox> mailbox_;
};

}  // namespace latchkey
