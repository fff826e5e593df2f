// ClientHellos that no decent client sends.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tests/support/client_hello.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using Kind = RawAnswer::Kind;

std::string hello_with(const std::vector<std::string>& names) {
  HelloParts parts;
  parts.server_name = server_name_list(names);
  return client_hello(parts);
}

class BadHelloTest : public ::testing::Test {
 protected:
  void SetUp() override {
    site_.edge.settings.allow = {};
    site_.edge.settings.ask = site_.ask_url();
    ASSERT_TRUE(site_.edge.start());
    ASSERT_TRUE(site_.visit("good.test").handshake.verified);
    asked_ = site_.ask.requests();
  }
  void TearDown() override {
    EXPECT_TRUE(site_.edge.running());
    EXPECT_TRUE(site_.visit("good.test").handshake.verified);
    EXPECT_EQ(site_.ask.requests(), asked_);
    EXPECT_EQ(site_.pebble->orders(), 1u);
    EXPECT_LT(site_.edge.process().resident_bytes(), 400u << 20);
  }
  RawAnswer send(std::string_view bytes, size_t step = ~0ul, bool close_after = false) {
    return send_raw(site_.https.number(), bytes, step, close_after);
  }

  Site site_;
  size_t asked_ = 0;
};

TEST_F(BadHelloTest, AGoodOneIsUnderstoodInAnyPieces) {
  const std::string hello = client_hello_for("good.test");
  for (const size_t step : {size_t{1}, size_t{5}, size_t{64}, hello.size()}) {
    EXPECT_EQ(send(hello, step).kind, Kind::kHandshake) << step;
  }
  HelloParts parts;
  parts.server_name = server_name_list({"good.test"});
  parts.record = 7;  // many small records
  EXPECT_EQ(send(client_hello(parts)).kind, Kind::kHandshake);
  parts.record = 16'384;
  parts.padding = 8'000;
  EXPECT_EQ(send(client_hello(parts), 1000).kind, Kind::kHandshake);
}

TEST_F(BadHelloTest, UncleanNamesAreRefusedAsUnrecognized) {
  const std::map<std::string, std::string> names = {
      {"an IPv4 literal", "127.0.0.1"},
      {"an IPv6 literal", "::1"},
      {"an IPv6 literal in brackets", "[::1]"},
      {"two trailing dots", "good.test.."},
      {"a leading dot", ".good.test"},
      {"an empty label", "good..test"},
      {"only a dot", "."},
      {"a space", "good .test"},
      {"a NUL", std::string("good.test\0.evil.test", 20)},
      {"a newline", "good.test\nx"},
      {"a slash", "good.test/../x"},
      {"a wildcard", "*.test"},
      {"a port", "good.test:443"},
      {"a user", "user@good.test"},
      {"UTF-8",
       "g\xc3\xb6\xc3\xb6"
       "d.test"},
      {"bytes that are not UTF-8", "\xff\xfe.test"},
      {"a bad A-label", "xn--.test"},
      {"an A-label that does not decode", "xn--zzzzzzzz99999999.test"},
      {"a leading hyphen", "-good.test"},
      {"a trailing hyphen", "good-.test"},
      {"an underscore", "_good.test"},
      {"a label of 64 bytes", std::string(64, 'a') + ".test"},
      {"254 bytes", std::string(62, 'a') + "." + std::string(62, 'b') + "." + std::string(62, 'c') +
                        "." + std::string(60, 'd') + ".test"},
      {"300 bytes", std::string(300, 'a')},
      {"a single label", "localhost"},
      {"a public suffix", "co.uk"},
      {"a head that repeats", "www.www.www.good.test"},
      {"eleven labels", "a.b.c.d.e.f.g.h.i.good.test"},
      {"a percent sign", "%2e%2e.test"},
      {"a quote", "\"good\".test"},
      {"a query", "good.test?x=1&domain=evil.test"},
  };
  for (const auto& [what, name] : names) {
    const RawAnswer answer = send(hello_with({name}));
    EXPECT_EQ(answer.kind, Kind::kAlert) << what;
    EXPECT_THAT(answer.alert,
                // BoringSSL itself refuses some with decode_error or illegal_parameter.
                ::testing::AnyOf(alert::kUnrecognizedName, 50, 47))
        << what;
  }
}

TEST_F(BadHelloTest, ServerNameExtensionsThatAreBroken) {
  const std::string good = "good.test";
  EXPECT_EQ(send(hello_with({good, "other.test"})).kind, Kind::kAlert);
  EXPECT_EQ(send(hello_with({good, good})).kind, Kind::kAlert);
  EXPECT_EQ(send(hello_with({""})).kind, Kind::kAlert);
  EXPECT_EQ(send(hello_with({})).kind, Kind::kAlert);
  HelloParts parts;
  parts.server_name = std::string("\x00\x0c\x00\x00\xff", 5) + good;  // a length beyond the end
  EXPECT_EQ(send(client_hello(parts)).kind, Kind::kAlert);
  parts.server_name = std::string("\x00\x0c\x07\x00\x09", 5) + good;  // an unknown type of name
  EXPECT_EQ(send(client_hello(parts)).kind, Kind::kAlert);
  parts.server_name = "x";
  EXPECT_EQ(send(client_hello(parts)).kind, Kind::kAlert);
}

TEST_F(BadHelloTest, ATrailingDotIsForgiven) {
  EXPECT_EQ(send(hello_with({"good.test."})).kind, Kind::kHandshake);
}

TEST_F(BadHelloTest, TruncatedOnesAreLetGo) {
  const std::string hello = client_hello_for("good.test");
  for (size_t size = 0; size < hello.size(); size += 13) {
    const RawAnswer answer = send(hello.substr(0, size), ~0ul, true);
    EXPECT_THAT(answer.kind, ::testing::AnyOf(Kind::kClosed, Kind::kAlert)) << size;
  }
}

TEST_F(BadHelloTest, HugeOnesAreRefused) {
  HelloParts parts;
  parts.server_name = server_name_list({"good.test"});
  parts.padding = 40'000;
  EXPECT_THAT(send(client_hello(parts)).kind, ::testing::AnyOf(Kind::kAlert, Kind::kClosed));
}

TEST_F(BadHelloTest, OtherProtocolsAreRefused) {
  for (const std::string& bytes :
       {std::string("GET / HTTP/1.1\r\nHost: good.test\r\n\r\n"), std::string("SSH-2.0-x\r\n"),
        std::string(5000, '\0'), std::string(5000, '\xff'), std::string("\x16\x03\x01\xff\xff", 5),
        std::string("\x15\x03\x01\x00\x02\x02\x28", 7), std::string("\x17\x03\x03\x00\x01x", 6)}) {
    EXPECT_THAT(send(bytes, ~0ul, true).kind, ::testing::AnyOf(Kind::kAlert, Kind::kClosed));
  }
}

TEST_F(BadHelloTest, RandomDamageNeverHurts) {
  std::mt19937 random(7);
  const std::string hello = client_hello_for("good.test");
  for (int i = 0; i < 300; ++i) {
    std::string damaged = hello;
    for (int n = 0; n < 3; ++n) damaged[random() % damaged.size()] = static_cast<char>(random());
    // Damage to the name may make another name: keep that out, it would be asked about.
    const size_t name = damaged.find("good.test");
    if (name == std::string::npos) continue;
    EXPECT_NE(send(damaged, ~0ul, true).kind, Kind::kRefused);
  }
}

TEST_F(BadHelloTest, AcmeTlsForNamesWithoutAChallengeIsRefusedWithoutAnyWork) {
  HelloParts parts;
  parts.alpn = {"acme-tls/1"};
  for (const char* name : {"good.test", "unknown.test", "127.0.0.1"}) {
    parts.server_name = server_name_list({name});
    EXPECT_EQ(send(client_hello(parts)).kind, Kind::kAlert) << name;
  }
  parts.server_name = "";
  EXPECT_EQ(send(client_hello(parts)).kind, Kind::kAlert);
  parts.alpn = {"acme-tls/1", "http/1.1"};
  parts.server_name = server_name_list({"unknown.test"});
  EXPECT_EQ(send(client_hello(parts)).kind, Kind::kAlert);
}

TEST_F(BadHelloTest, OneThatNeverEndsIsCutOff) {
  const std::string hello = client_hello_for("good.test");
  const RawAnswer answer =
      send_raw(site_.https.number(), hello.substr(0, 50), ~0ul, false, Millis(15'000));
  EXPECT_THAT(answer.kind, ::testing::AnyOf(Kind::kClosed, Kind::kAlert));
}

}  // namespace
}  // namespace latchkey::test
