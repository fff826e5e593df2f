#include "edge/plain_socket.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

#include "base/loop.h"

namespace latchkey::edge {
namespace {

// Reads one piece an event, as a codec would.
class Reader final : public Transport::Events {
 public:
  explicit Reader(Transport& transport) : transport_(transport) {
    transport_.set_events(this);
    transport_.want(true, false);
  }
  void on_readable() override {
    std::array<char, 16384> buffer;
    const auto moved = transport_.read(buffer);
    if (moved.io == Transport::Io::kDone) received += moved.bytes;
    if (moved.io == Transport::Io::kEnd || moved.io == Transport::Io::kError) {
      over = true;
      transport_.want(false, false);
    }
  }
  void on_writable() override {}

  size_t received = 0;
  bool over = false;

 private:
  Transport& transport_;
};

// A connected pair over loopback: only TCP resets.
std::array<int, 2> tcp_pair() {
  const int listener = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* any = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(::bind(listener, any, size), 0);
  EXPECT_EQ(::listen(listener, 1), 0);
  EXPECT_EQ(::getsockname(listener, any, &size), 0);
  const int ours = ::socket(AF_INET, SOCK_STREAM, 0);
  EXPECT_EQ(::connect(ours, any, size), 0);
  const int theirs = ::accept(listener, nullptr, nullptr);
  ::close(listener);
  return {ours, theirs};
}

TEST(PlainSocketTest, WhatCameBeforeAResetIsReadAndThenTheReset) {
  Loop loop;
  const auto [ours, theirs] = tcp_pair();
  PlainSocket socket(loop.uv(), ours);
  // A peer that closes with our bytes unread resets, behind what it had sent.
  ASSERT_EQ(::send(ours, "unread", 6, 0), 6);
  const std::string body(100'000, 'x');
  ASSERT_EQ(::send(theirs, body.data(), body.size(), 0), static_cast<ssize_t>(body.size()));
  ::close(theirs);
  Reader reader(socket);
  for (int i = 0; i < 1000 && !reader.over; ++i) uv_run(&loop.uv(), UV_RUN_NOWAIT);
  EXPECT_TRUE(reader.over);
  EXPECT_EQ(reader.received, body.size());
  socket.set_events(nullptr);
}

}  // namespace
}  // namespace latchkey::edge
