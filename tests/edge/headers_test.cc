#include "edge/http/headers.h"

#include <gtest/gtest.h>

namespace latchkey::edge {
namespace {

std::string show(const HeaderList& headers) {
  std::string text;
  for (const auto [name, value] : headers) {
    text += std::string(name) + ": " + std::string(value) + "\n";
  }
  return text;
}

std::string forwarded(std::vector<std::pair<std::string, std::string>> fields,
                      const HeaderRules& rules = {}) {
  RequestHead head;
  head.method = "GET";
  head.authority = "a.test";
  for (const auto& [name, value] : fields) head.headers.add(name, value);
  forward_request(head, ClientInfo{"192.0.2.7", true, {}}, rules);
  return show(head.headers);
}

const std::string kOurs =
    "x-forwarded-for: 192.0.2.7\nx-forwarded-proto: https\nx-forwarded-host: a.test\n"
    "via: 1.1 latchkey\n";

TEST(HeaderListTest, NamesAreLowerCaseAndValuesSurviveGrowth) {
  HeaderList list;
  list.add("X-First", "one");
  for (int i = 0; i < 200; ++i) list.add(list[0].name, list[0].value);
  EXPECT_EQ(list.count("x-first"), 201U);
  EXPECT_EQ(list[200].value, "one");
  list.set("x-FIRST", "two");
  EXPECT_EQ(list.size(), 1U);
  EXPECT_EQ(list.get("x-first"), "two");
  list.add("connection", "Keep-Alive , Upgrade");
  EXPECT_TRUE(list.has_token("connection", "upgrade"));
  EXPECT_FALSE(list.has_token("connection", "up"));
}

TEST(ForwardRequestTest, HopByHopFieldsStayBehind) {
  EXPECT_EQ(forwarded({{"Accept", "*/*"},
                       {"Connection", "keep-alive, X-Hop"},
                       {"Keep-Alive", "5"},
                       {"X-Hop", "1"},
                       {"Proxy-Authorization", "x"},
                       {"Proxy-Connection", "x"},
                       {"Upgrade", "h2c"},
                       {"HTTP2-Settings", "x"},
                       {"TE", "gzip"}}),
            "accept: */*\n" + kOurs);
  EXPECT_EQ(forwarded({{"TE", "trailers, gzip"}}), "te: trailers\n" + kOurs);
}

TEST(ForwardRequestTest, ARuleWithUnderscoresIsNotForgedByAnotherSpelling) {
  const HeaderRules rules{{"X_Auth_User", "edge"}};
  EXPECT_EQ(forwarded({{"X-Auth-User", "a"}, {"x-auth_user", "b"}, {"X_Auth_User", "c"}}, rules),
            kOurs + "x_auth_user: edge\n");
}

TEST(ForwardRequestTest, ConnectionCannotStripWhatMatters) {
  EXPECT_EQ(forwarded({{"Connection",
                        "close, X-Forwarded-For, X-Forwarded-Proto, Host, "
                        "Content-Length, Authorization, Cookie, Via"},
                       {"Authorization", "secret"},
                       {"Cookie", "a=b"}}),
            "authorization: secret\ncookie: a=b\n" + kOurs);
}

TEST(ForwardRequestTest, ClientsCannotPretendToBeProxies) {
  EXPECT_EQ(forwarded({{"X-Forwarded-For", "10.0.0.1"},
                       {"X-Forwarded-Proto", "http"},
                       {"X-Forwarded-Port", "1"},
                       {"X_Forwarded_For", "10.0.0.1"},
                       {"X-Forwarded_Host", "b.test"},
                       {"Forwarded", "for=10.0.0.1"},
                       {"X-Real-IP", "10.0.0.1"},
                       {"Content_Length", "3"},
                       {"Proxy", "http://evil"}}),
            kOurs);
}

TEST(ForwardRequestTest, NobodySaysForAClientWhoItIs) {
  EXPECT_EQ(forwarded({{"X-Client-Cert-Subject", "CN=root"},
                       {"x-client-cert-verify", "SUCCESS"},
                       {"X_Client_Cert_Fingerprint", "00"},
                       {"X-Client_Cert-Serial", "1"}}),
            kOurs);
}

TEST(ForwardRequestTest, ViaIsContinued) {
  EXPECT_NE(forwarded({{"Via", "1.0 a"}, {"Via", "1.1 b"}}).find("via: 1.0 a, 1.1 b, 1.1 latchkey"),
            std::string::npos);
}

TEST(ForwardRequestTest, TheRoutesRulesComeLast) {
  const HeaderRules rules = {{"X-Edge", "1"}, {"Accept", std::nullopt}, {"Via", std::nullopt}};
  EXPECT_EQ(
      forwarded(
          {{"Accept", "*/*"}, {"X_Edge", "forged"}, {"x-edge", "forged"}, {"Connection", "x-edge"}},
          rules),
      "x-forwarded-for: 192.0.2.7\nx-forwarded-proto: https\nx-forwarded-host: a.test\n"
      "x-edge: 1\n");
}

TEST(ForwardResponseTest, HopByHopFieldsStayBehindAndRulesApply) {
  ResponseHead head;
  head.headers.add("Server", "x");
  head.headers.add("Connection", "close, x-debug, set-cookie");
  head.headers.add("X-Debug", "1");
  head.headers.add("Set-Cookie", "a=b");
  forward_response(head, {{"server", std::nullopt}, {"X-Frame-Options", "DENY"}});
  EXPECT_EQ(show(head.headers), "set-cookie: a=b\nx-frame-options: DENY\n");
}

TEST(HeadersTest, TrailersDoNotBringInWhatHeadersMayNot) {
  HeaderList trailers;
  for (const char* name :
       {"x-checksum", "x-real-ip", "true_client_ip", "x-forwarded-for", "x-edge"}) {
    trailers.add(name, "1");
  }
  forward_request_trailers(trailers, {{"X-Edge", "ours"}});
  EXPECT_TRUE(trailers.has("x-checksum"));
  for (const char* name : {"x-real-ip", "true_client_ip", "x-forwarded-for", "x-edge"}) {
    EXPECT_FALSE(trailers.has(name)) << name;
  }
}

std::string introduced(std::vector<std::pair<std::string, std::string>> fields, bool trusted,
                       bool forwarded, const std::string& address = "192.0.2.7") {
  RequestHead head;
  head.method = "GET";
  head.authority = "a.test:8443";
  head.from_trusted_proxy = trusted;
  head.forwarded = forwarded;
  head.id = "i-1";
  for (const auto& [name, value] : fields) head.headers.add(name, value);
  forward_request(head, ClientInfo{address, true, {}}, {});
  head.headers.remove("via");
  return show(head.headers);
}

TEST(ForwardRequestTest, WhatATrustedProxySaysOfItsClientGoesOn) {
  EXPECT_EQ(introduced({{"X-Forwarded-For", "6.6.6.6"},
                        {"X-Forwarded-For", "203.0.113.9"},
                        {"X-Forwarded-Proto", "http"},
                        {"X-Forwarded-Host", "b.test"},
                        {"Forwarded", "for=203.0.113.9"},
                        {"X_Forwarded_For", "6.6.6.6"},
                        {"X-Forwarded-Port", "1"},
                        {"X-Real-IP", "6.6.6.6"}},
                       true, false),
            "x-forwarded-proto: http\nx-forwarded-host: b.test\n"
            "x-forwarded-for: 6.6.6.6, 203.0.113.9, 192.0.2.7\n"
            "forwarded: for=203.0.113.9, for=192.0.2.7;host=\"a.test:8443\";proto=https\n"
            "x-request-id: i-1\n");
}

TEST(ForwardRequestTest, WhatATrustedProxyCannotMeanDoesNot) {
  EXPECT_EQ(introduced({{"X-Forwarded-Proto", "gopher"},
                        {"X-Forwarded-Host", "b.test"},
                        {"X-Forwarded-Host", "c.test"}},
                       true, false),
            "x-forwarded-for: 192.0.2.7\nx-forwarded-proto: https\n"
            "x-forwarded-host: a.test:8443\nx-request-id: i-1\n");
  EXPECT_EQ(introduced({{"X-Forwarded-Host", "b.test/path"}}, true, false),
            "x-forwarded-for: 192.0.2.7\nx-forwarded-proto: https\n"
            "x-forwarded-host: a.test:8443\nx-request-id: i-1\n");
}

TEST(ForwardRequestTest, ForwardedIsWrittenWhereItIsWanted) {
  EXPECT_EQ(introduced({{"Forwarded", "for=6.6.6.6"}, {"X-Forwarded-For", "6.6.6.6"}}, false, true,
                       "2001:db8::1"),
            "x-forwarded-for: 2001:db8::1\nx-forwarded-proto: https\n"
            "x-forwarded-host: a.test:8443\n"
            "forwarded: for=\"[2001:db8::1]\";host=\"a.test:8443\";proto=https\n"
            "x-request-id: i-1\n");
}

TEST(ForwardRequestTest, TheRequestsIdIsOursAlone) {
  const std::string ours =
      "x-forwarded-for: 192.0.2.7\nx-forwarded-proto: https\nx-forwarded-host: a.test:8443\n"
      "x-request-id: i-1\n";
  EXPECT_EQ(introduced({{"Connection", "X-Request-Id"}, {"X_Request_Id", "x"}}, false, false),
            ours);
  HeaderList trailers;
  trailers.add("x-request-id", "x");
  trailers.add("x-sum", "1");
  forward_request_trailers(trailers, {});
  EXPECT_EQ(show(trailers), "x-sum: 1\n");
}

}  // namespace
}  // namespace latchkey::edge
