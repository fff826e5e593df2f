#pragma once
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uv.h>

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "base/check.h"
#include "edge/plain_socket.h"

namespace latchkey::edge {

// A TCP server on loopback, on the test's own loop, that does what the test says.
class ScriptedUpstream {
 public:
  class Connection final : private Transport::Events {
   public:
    Connection(ScriptedUpstream& owner, std::unique_ptr<Transport> socket)
        : owner_(owner), socket_(std::move(socket)) {
      socket_->set_events(this);
      socket_->want(true, false);
    }
    void say(std::string_view bytes) {
      out_ += bytes;
      on_writable();
    }
    void hang_up() { socket_.reset(); }
    void half_close() { socket_->finish_writing(); }
    void stop_reading(bool stop) {
      reading_ = !stop;
      if (socket_) socket_->want(reading_, !out_.empty());
    }
    std::string heard;  // since the test last cleared it
    bool ended = false;

   private:
    void on_readable() override {
      char buffer[16384];
      const auto moved = socket_->read(buffer);
      if (moved.io == Transport::Io::kAgain) return;
      if (moved.io != Transport::Io::kDone) {
        ended = true;
        socket_->want(false, false);
        return;
      }
      heard.append(buffer, moved.bytes);
      owner_.heard.append(buffer, moved.bytes);
      if (owner_.on_bytes) owner_.on_bytes(*this);
    }
    void on_writable() override {
      while (socket_ && !out_.empty()) {
        const auto moved = socket_->write(out_);
        if (moved.io != Transport::Io::kDone) break;
        out_.erase(0, moved.bytes);
      }
      if (socket_) socket_->want(reading_ && !ended, !out_.empty());
    }

    ScriptedUpstream& owner_;
    std::unique_ptr<Transport> socket_;
    std::string out_;
    bool reading_ = true;
  };

  explicit ScriptedUpstream(uv_loop_t& loop) : loop_(loop) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    CHECK(::bind(fd_, any, size) == 0 && ::listen(fd_, 64) == 0);
    CHECK(::getsockname(fd_, any, &size) == 0);
    port_ = ntohs(address.sin_port);
    uv_poll_init_socket(&loop, poll_.get(), fd_);
    poll_->data = this;
    uv_poll_start(poll_.get(), UV_READABLE, [](uv_poll_t* poll, int, int) {
      static_cast<ScriptedUpstream*>(poll->data)->accept();
    });
  }
  ~ScriptedUpstream() { close(); }

  // Nothing listens any more.
  void close() {
    connections.clear();
    poll_.reset();
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  uint16_t port() const { return port_; }
  Connection& last() { return connections.back(); }

  std::function<void(Connection&)> on_bytes;  // after each read
  std::list<Connection> connections;          // all there ever were
  std::string heard;                          // on all of them

 private:
  void accept() {
    const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) connections.emplace_back(*this, std::make_unique<PlainSocket>(loop_, fd));
  }

  uv_loop_t& loop_;
  int fd_ = -1;
  uint16_t port_ = 0;
  UvPtr<uv_poll_t> poll_{new uv_poll_t};
};

}  // namespace latchkey::edge
