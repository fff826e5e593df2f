#include "edge/front/client_address.h"

#include <gtest/gtest.h>

namespace latchkey::edge {
namespace {

class ClientAddressTest : public testing::Test {
 protected:
  ClientAddressTest() {
    for (const char* range : {"10.0.0.0/8", "2001:db8:1::/48"}) {
      EXPECT_TRUE(trusted.add(range));
    }
  }
  std::string behind(std::vector<std::pair<std::string, std::string>> fields) const {
    HeaderList headers;
    for (const auto& [name, value] : fields) headers.add(name, value);
    return client_behind_proxies(headers, "10.0.0.1", trusted);
  }
  AddressRanges trusted;
};

TEST_F(ClientAddressTest, IsTheLastThatIsNoTrustedProxy) {
  EXPECT_EQ(behind({{"x-forwarded-for", "203.0.113.9"}}), "203.0.113.9");
  EXPECT_EQ(behind({{"x-forwarded-for", "6.6.6.6, 203.0.113.9, 10.2.2.2"}}), "203.0.113.9");
  EXPECT_EQ(behind({{"x-forwarded-for", "6.6.6.6"}, {"x-forwarded-for", "203.0.113.9,10.2.2.2"}}),
            "203.0.113.9");
  EXPECT_EQ(behind({{"x-forwarded-for", "203.0.113.9, 2001:db8:1::5"}}), "203.0.113.9");
  EXPECT_EQ(behind({{"x-forwarded-for", "10.9.9.9, 10.2.2.2"}}), "10.9.9.9") << "from within";
  EXPECT_EQ(behind({}), "10.0.0.1");
}

TEST_F(ClientAddressTest, WhatIsNoAddressEndsTheWay) {
  EXPECT_EQ(behind({{"x-forwarded-for", "203.0.113.9, unknown, 10.2.2.2"}}), "10.2.2.2");
  EXPECT_EQ(behind({{"x-forwarded-for", "unknown"}}), "10.0.0.1");
  EXPECT_EQ(behind({{"x-forwarded-for", "1.2.3.4\r\n, 999.1.1.1"}}), "10.0.0.1");
}

TEST_F(ClientAddressTest, PortsAndBracketsAreNoPartOfIt) {
  EXPECT_EQ(plain_address("192.0.2.1:443"), "192.0.2.1");
  EXPECT_EQ(plain_address("[2001:DB8::0:1]:443"), "2001:db8::1");
  EXPECT_EQ(plain_address("\"[2001:db8::1]\""), "2001:db8::1");
  EXPECT_EQ(plain_address("2001:db8::1"), "2001:db8::1");
  EXPECT_EQ(plain_address("::ffff:192.0.2.1"), "192.0.2.1");
  for (const char* none : {"", "_hidden", "unknown", "192.0.2", "[2001:db8::1", "1.2.3.4.5"}) {
    EXPECT_EQ(plain_address(none), "") << none;
  }
}

TEST_F(ClientAddressTest, ForwardedCountsWhereThereIsNoOther) {
  EXPECT_EQ(behind({{"forwarded", "for=6.6.6.6, for=203.0.113.9;proto=http, FOR=10.2.2.2"}}),
            "203.0.113.9");
  EXPECT_EQ(behind({{"forwarded", "proto=https; for=\"[2001:db8:2::1]:80\""}}), "2001:db8:2::1");
  EXPECT_EQ(behind({{"forwarded", "for=_secret"}}), "10.0.0.1");
  EXPECT_EQ(behind({{"forwarded", "for=6.6.6.6"}, {"x-forwarded-for", "203.0.113.9"}}),
            "203.0.113.9");
}

}  // namespace
}  // namespace latchkey::edge
