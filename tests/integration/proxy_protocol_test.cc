// Behind a load balancer that says by the PROXY protocol who the client is.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/http_exchange.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;

const std::string kHeader = "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443\r\n";

class ProxyProtocolTest : public ::testing::Test {
 protected:
  void start(const std::string& balancers) {
    site_.edge.settings.proxy_protocol_from = {balancers};
    ASSERT_TRUE(site_.edge.start());
  }
  TlsOptions with(std::string before) {
    TlsOptions options = site_.tls("a.test");
    options.before = std::move(before);
    return options;
  }
  Site site_;
};

// The CA comes through the balancer, too: here by HTTP-01 of an address that is none.
TEST_F(ProxyProtocolTest, WhatABalancerSaysIsTheClientsAddress) {
  site_.edge.settings.proxy_protocol_from = {"127.0.0.2"};
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(site_.visit("a.test").handshake.verified) << "who is no balancer needs no header";
  EXPECT_EQ(site_.upstream.seen().back().header("x-forwarded-for"), "127.0.0.1");
  ASSERT_TRUE(site_.edge.terminate());

  start("127.0.0.0/8");
  TlsClient client(with(kHeader));
  ASSERT_TRUE(client.handshake().verified) << client.handshake().error;
  EXPECT_EQ(HttpConversation(client).get("a.test").status, 200);
  EXPECT_EQ(site_.upstream.seen().back().header("x-forwarded-for"), "192.0.2.7");

  EXPECT_FALSE(TlsClient(with("")).handshake().done);
  EXPECT_TRUE(site_.edge.wait_for("proxy_header_refused"));
  EXPECT_TRUE(site_.edge.logged("proxy_header_refused", "listen.proxy_protocol_from"));
}

TEST_F(ProxyProtocolTest, AStrangerMaySayWhatHeLikesAndIsNotBelieved) {
  start("10.0.0.0/8");
  EXPECT_FALSE(TlsClient(with(kHeader)).handshake().done);
  EXPECT_TRUE(site_.visit("a.test").handshake.verified);
}

}  // namespace
}  // namespace latchkey::test
