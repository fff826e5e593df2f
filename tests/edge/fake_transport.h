#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

#include "edge/transport.h"

namespace latchkey::edge {

// A client's connection in memory. Calls events only from deliver(), as a loop would.
class FakeTransport final : public Transport {
 public:
  // ---- the test's side
  void say(std::string_view bytes) { incoming += bytes; }
  void hang_up() { ended = true; }
  void break_off() { broken = true; }

  // Events, as long as there are any. Stops when the session asked for none, or unset itself.
  void deliver() {
    for (int i = 0; i < 10'000 && events_ != nullptr; ++i) {
      if (want_write && room > 0) {
        events_->on_writable();
      } else if (want_read && (!incoming.empty() || ended || broken)) {
        events_->on_readable();
      } else {
        return;
      }
    }
  }
  bool watched() const { return events_ != nullptr; }

  std::string incoming;
  std::string sent;
  std::vector<size_t> writes;  // how much was sent at once
  size_t max_read = 1 << 20;
  size_t room = SIZE_MAX;  // bytes that may still be written
  size_t held = 0;         // taken, and not yet handed to the kernel
  bool ended = false;
  bool broken = false;
  bool finished = false;  // finish_writing() was called
  bool want_read = false;
  bool want_write = false;

  // ---- Transport
  void set_events(Events* events) override { events_ = events; }
  void want(bool read, bool write) override {
    want_read = read;
    want_write = write;
  }
  Moved read(std::span<char> into) override {
    if (broken) return {Io::kError, 0};
    if (incoming.empty()) return {ended ? Io::kEnd : Io::kAgain, 0};
    const size_t n = std::min({into.size(), incoming.size(), max_read});
    std::copy_n(incoming.begin(), n, into.begin());
    incoming.erase(0, n);
    return {Io::kDone, n};
  }
  Moved write(std::string_view bytes) override {
    if (broken) return {Io::kError, 0};
    const size_t n = std::min(bytes.size(), room);
    if (n == 0) return {Io::kAgain, 0};
    sent += bytes.substr(0, n);
    writes.push_back(n);
    room -= n;
    return {Io::kDone, n};
  }
  void finish_writing() override { finished = true; }
  size_t unsent() const override { return held; }
  std::string error() const override { return "broken by the test"; }

 private:
  Events* events_ = nullptr;
};

}  // namespace latchkey::edge
