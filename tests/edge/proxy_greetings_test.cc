#include "edge/proxy_greetings.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <optional>

#include "base/loop.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

class ProxyGreetingsTest : public testing::Test {
 protected:
  void TearDown() override {
    greetings.close_all();
    turn();
    ::close(ours);
    if (fd >= 0) ::close(fd);
  }
  void turn() {
    for (int i = 0; i < 3; ++i) uv_run(&loop.uv(), UV_RUN_NOWAIT);
  }
  void connect() {
    std::array<int, 2> fds{};
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
    ours = fds[0];
    greetings.greet(fds[1], "10.0.0.1", [this](int given, std::string who) {
      fd = given;
      client = std::move(who);
    });
  }
  void say(std::string_view bytes) {
    ASSERT_EQ(::send(ours, bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    turn();
  }
  std::string rest() {
    std::array<char, 100> bytes{};
    const ssize_t n = ::recv(fd, bytes.data(), bytes.size(), 0);
    return {bytes.data(), n < 0 ? 0 : static_cast<size_t>(n)};
  }

  Loop loop;
  Log log{STDERR_FILENO, Log::Format::kText, LogLevel::kError};
  std::atomic<size_t> connections{0};
  ProxyGreetings greetings{loop.uv(), loop.clock(), log, connections, 50ms};
  int ours = -1, fd = -1;
  std::string client;
};

const std::string kHeader = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";

TEST_F(ProxyGreetingsTest, TheClientsBytesStayInTheSocket) {
  connect();
  EXPECT_EQ(connections, 1u);
  say(kHeader + "hello");
  EXPECT_EQ(client, "192.0.2.7");
  EXPECT_EQ(rest(), "hello");
  EXPECT_EQ(greetings.size(), 0u);
  EXPECT_EQ(connections, 0u);
}

TEST_F(ProxyGreetingsTest, AHeaderMayComeByteByByte) {
  connect();
  for (const char c : kHeader) {
    EXPECT_EQ(fd, -1);
    say(std::string(1, c));
  }
  ASSERT_GE(fd, 0);
  say("hello");
  EXPECT_EQ(client, "192.0.2.7");
  EXPECT_EQ(rest(), "hello");
}

TEST_F(ProxyGreetingsTest, ABalancerThatSpeaksForItselfIsTheClient) {
  connect();
  say("PROXY UNKNOWN\r\n");
  EXPECT_EQ(client, "10.0.0.1");
}

TEST_F(ProxyGreetingsTest, WhoSaysSomethingElseIsCutOff) {
  connect();
  say("GET / HTTP/1.1\r\n\r\n");
  EXPECT_EQ(fd, -1);
  EXPECT_EQ(greetings.size(), 0u);
  std::array<char, 1> byte{};
  EXPECT_LE(::recv(ours, byte.data(), 1, 0), 0) << "closed";
}

TEST_F(ProxyGreetingsTest, WhoSaysNothingIsCutOffInTime) {
  connect();
  say("PROXY TCP4");
  EXPECT_EQ(greetings.size(), 1u);
  std::optional<Alarm> end = loop.clock().after(200ms, [this] { loop.stop(); });
  loop.run();
  EXPECT_EQ(greetings.size(), 0u);
  EXPECT_EQ(connections, 0u);
}

TEST_F(ProxyGreetingsTest, WhoLeavesIsForgotten) {
  connect();
  ::shutdown(ours, SHUT_WR);
  turn();
  EXPECT_EQ(greetings.size(), 0u);
}

}  // namespace
}  // namespace latchkey::edge
