// Listening sockets that systemd made.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/check.h"
#include "tests/support/fd.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

// As systemd makes them: blocking, sharing their port with nobody.
class Listening {
 public:
  Listening() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    CHECK(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    CHECK(::listen(fd_.get(), 128) == 0);
    CHECK(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    port_ = ntohs(address.sin_port);
  }
  int fd() const { return fd_.get(); }
  uint16_t port() const { return port_; }

 private:
  const Fd fd_;
  uint16_t port_ = 0;
};

class ActivationTest : public ::testing::Test {
 protected:
  ActivationTest() : site_(options(https_.port(), http_.port())) {
    site_.edge.settings.workers = 3;
    site_.edge.settings.listen_fds = {http_.fd(), https_.fd()};
  }
  static Site::Options options(uint16_t https, uint16_t http) {
    Site::Options out;
    out.pebble_tls_port = https;
    out.pebble_http_port = http;
    return out;
  }
  int visit() {
    TlsOptions options = site_.tls("a.test");
    options.port = https_.port();
    TlsClient client(options);
    return HttpConversation(client).get("a.test").status;
  }
  void expect_that_it_serves() {
    for (int i = 0; i < 10; ++i) ASSERT_EQ(visit(), 200) << site_.edge.log();
    PlainClient plain(http_.port());
    EXPECT_EQ(HttpConversation(plain).get("a.test").status, 308);
  }

  const Listening https_, http_;
  Site site_;
};

TEST_F(ActivationTest, SocketsHaveTheirPurposeByTheirNames) {
  site_.edge.settings.listen_names = "http:https";
  ASSERT_TRUE(site_.edge.start());
  expect_that_it_serves();
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  expect_that_it_serves();
  // What is not accepted waits in systemd's socket.
  ASSERT_TRUE(site_.edge.terminate());
  const PlainClient early(https_.port());
  EXPECT_TRUE(early.connected());
}

TEST_F(ActivationTest, OrByTheirAddresses) {
  site_.edge.settings.listen_names = "latchkey.socket:latchkey.socket";
  site_.edge.settings.https_port = https_.port();
  site_.edge.settings.http_port = http_.port();
  ASSERT_TRUE(site_.edge.start());
  expect_that_it_serves();
}

// By a variable that somebody has set, for whatever reason.
TEST_F(ActivationTest, TheyAreNotTakenForThoseOfAnUpgrade) {
  site_.edge.settings.listen_names = "http:https";
  site_.edge.settings.env = {{"LATCHKEY_UPGRADE", "https"}};
  ASSERT_TRUE(site_.edge.start());
  expect_that_it_serves();
}

TEST_F(ActivationTest, WhatFitsNothingIsClosedAndTold) {
  site_.edge.settings.listen_names = "x:https";
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(visit(), 200);
  EXPECT_TRUE(site_.edge.logged("socket_unused", std::to_string(http_.port())));
}

}  // namespace
}  // namespace latchkey::test
