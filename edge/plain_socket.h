#pragma once
#include <uv.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/poller.h"
#include "base/result.h"
#include "base/uv.h"
#include "edge/transport.h"

namespace latchkey::edge {

// TCP without TLS: clients on port 80, upstreams. One loop's thread.
class PlainSocket final : public Transport,
                          private SocketWatch::Owner,
                          private Poller::Late::Owner {
 public:
  // Takes the descriptor (connected, non-blocking).
  PlainSocket(uv_loop_t& loop, int fd);
  ~PlainSocket() override;

  void set_events(Transport::Events* events) override { events_ = events; }
  void want(bool read, bool write) override;
  Moved read(std::span<char> into) override;
  Moved write(std::string_view bytes) override;
  bool ask_turn_end() override;
  void finish_writing() override;
  size_t unsent() const override { return 0; }
  std::string error() const override { return error_; }

 private:
  Moved failed(const char* doing);
  void on_socket(uint8_t ready) override;
  void on_late() override;

  const int fd_;
  Transport::Events* events_ = nullptr;
  std::string error_;
  SocketWatch watch_;
  Poller::Late turn_end_;
};

// A connection being made to a numeric address. Destroying it gives up.
class Dial : private SocketWatch::Owner {
 public:
  using Done = std::function<void(Result<std::unique_ptr<PlainSocket>>)>;

  // Calls `done` once, from the loop; it may destroy this. Errors: kIo; kThrottled: we are out of
  // descriptors. It bounds no time: who dials does.
  Dial(uv_loop_t& loop, const std::string& address, uint16_t port, Done done);
  virtual ~Dial();
  Dial(const Dial&) = delete;

 private:
  void on_socket(uint8_t ready) override;
  void report(Result<std::unique_ptr<PlainSocket>> result);

  uv_loop_t& loop_;
  std::string where_;
  Done done_;
  int fd_ = -1;
  int failed_ = 0;  // errno of a dial that failed at once: reported from the loop
  std::optional<SocketWatch> watch_;
  UvPtr<uv_timer_t> soon_;
};

}  // namespace latchkey::edge
