#pragma once
#include <uv.h>

#include <memory>

#include "base/check.h"
#include "base/mailbox.h"
#include "base/uv.h"

namespace latchkey {

// A libuv loop with its clock and mailbox. Made, run and destroyed by one thread; only `address`
// may be used from others. Whoever put handles on it drops them before the loop goes.
class Loop {
 public:
  Loop() : clock_(uv_) {
    CHECK(uv_loop_init(&uv_) == 0);
    mailbox_ = std::make_unique<Mailbox>(uv_);
  }
  ~Loop() {
    mailbox_.reset();
    uv_run(&uv_, UV_RUN_DEFAULT);  // lets the close callbacks come
    CHECK(uv_loop_close(&uv_) == 0);
  }
  Loop(const Loop&) = delete;

  uv_loop_t& uv() { return uv_; }
  Clock& clock() { return clock_; }
  Mailbox::Address address() const { return mailbox_->address(); }

  // Runs until stop() is called on this loop's thread (post it from others).
  void run() { uv_run(&uv_, UV_RUN_DEFAULT); }
  void stop() { uv_stop(&uv_); }

 private:
  uv_loop_t uv_{};
  UvClock clock_;
  std::unique_ptr<Mailbox> mailbox_;
};

}  // namespace latchkey
