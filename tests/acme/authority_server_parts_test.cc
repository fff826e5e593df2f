// The ACME server's parts by themselves: nonces, limits, URLs, rows, certificate requests.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "acme/authority/csr_reader.h"
#include "acme/authority/general_names.h"
#include "acme/authority/rate_limit.h"
#include "acme/authority/server_nonces.h"
#include "acme/authority/server_order.h"
#include "acme/authority/server_routes.h"
#include "acme/csr.h"
#include "tests/acme/odd_csr.h"
#include "tests/support/manual_clock.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

using std::chrono::seconds;
using ::testing::ElementsAre;

const WallTime kNow{seconds(1'800'000'000)};

TEST(ServerNoncesTest, EachIsGoodOnceForAnHour) {
  ServerNonces nonces;
  const std::string first = nonces.make(kNow);
  const std::string second = nonces.make(kNow);
  EXPECT_NE(first, second);
  EXPECT_TRUE(nonces.use(second, kNow + seconds(3'600)));
  EXPECT_FALSE(nonces.use(second, kNow));
  EXPECT_FALSE(nonces.use(first, kNow + seconds(3'601)));
  EXPECT_TRUE(nonces.use(first, kNow));
}

TEST(ServerNoncesTest, AnotherServersAndOnesThatWereTouchedAreNone) {
  ServerNonces nonces;
  ServerNonces other;
  const std::string one = nonces.make(kNow);
  EXPECT_FALSE(nonces.use(other.make(kNow), kNow));
  for (size_t i = 0; i < one.size(); ++i) {
    std::string touched = one;
    touched[i] = touched[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(nonces.use(touched, kNow)) << i;
    EXPECT_FALSE(nonces.use(one.substr(0, i), kNow)) << i;
  }
  EXPECT_FALSE(nonces.use(one + "A", kNow));
  EXPECT_TRUE(nonces.use(one, kNow));
}

TEST(ServerNoncesTest, TheLastMillionAreRemembered) {
  ServerNonces nonces;
  const std::string used = nonces.make(kNow);
  const std::string kept = nonces.make(kNow);
  EXPECT_TRUE(nonces.use(used, kNow));
  for (size_t i = 0; i + 2 < ServerNonces::kWindow; ++i) static_cast<void>(nonces.make(kNow));
  EXPECT_FALSE(nonces.use(used, kNow));
  static_cast<void>(nonces.make(kNow));
  EXPECT_FALSE(nonces.use(used, kNow));  // it is behind the window now
  EXPECT_TRUE(nonces.use(kept, kNow));
  static_cast<void>(nonces.make(kNow));
  EXPECT_FALSE(nonces.use(kept, kNow));
}

TEST(RateLimitTest, ABurstThenAtItsPace) {
  RateLimit limit(4, Millis(4'000), 2);
  const TimePoint start{Millis(0)};
  for (int i = 0; i < 4; ++i) EXPECT_EQ(seconds(0), limit.take("a", start));
  EXPECT_EQ(seconds(1), limit.take("a", start));
  EXPECT_EQ(seconds(1), limit.wait("a", start));
  EXPECT_EQ(seconds(0), limit.wait("b", start));
  EXPECT_EQ(seconds(0), limit.take("a", start + Millis(1'000)));
  EXPECT_EQ(seconds(1), limit.take("a", start + Millis(1'500)));
  EXPECT_EQ(seconds(0), limit.take("b", start));
  EXPECT_EQ(seconds(0), limit.take("c", start));  // "a" is forgotten
  EXPECT_EQ(seconds(0), limit.take("a", start + Millis(1'500)));
}

TEST(ServerRoutesTest, WhatIsBuiltIsParsed) {
  const std::string base = "https://[::1]:8443/acme/local";
  const ServerRoute order = parse_route(order_url(base, "ab"), "local");
  EXPECT_EQ(ServerRoute::Kind::kOrder, order.kind);
  EXPECT_EQ(base, order.base);
  EXPECT_EQ("ab", order.id);
  EXPECT_EQ(ServerRoute::Kind::kFinalize, parse_route(finalize_url(base, "ab"), "local").kind);
  const ServerRoute authorization = parse_route(authorization_url(base, "ab", 99), "local");
  EXPECT_EQ(ServerRoute::Kind::kAuthorization, authorization.kind);
  EXPECT_EQ(99u, authorization.index);
  for (const auto type :
       {ChallengeType::kHttp01, ChallengeType::kTlsAlpn01, ChallengeType::kDns01}) {
    const ServerRoute challenge = parse_route(challenge_url(base, "ab", 7, type), "local");
    EXPECT_EQ(ServerRoute::Kind::kChallenge, challenge.kind);
    EXPECT_EQ(type, challenge.type);
    EXPECT_EQ(7u, challenge.index);
  }
  const ServerRoute orders = parse_route(orders_url(base, "ab", "cd"), "local");
  EXPECT_EQ(ServerRoute::Kind::kOrders, orders.kind);
  EXPECT_EQ("cd", orders.after);
  EXPECT_EQ(2u, parse_route(certificate_url(base, "ab", 2), "local").index);
  EXPECT_EQ("ab", account_of_url(base, account_url(base, "ab")));
  EXPECT_EQ("", account_of_url(base, base + "/account/a/b"));
  EXPECT_EQ("", account_of_url(base, "https://other.test/acme/local/account/ab"));
}

TEST(ServerRoutesTest, WhatIsNoUrlOfOursIsNothing) {
  for (const char* const url :
       {"", "acme", "https://a.test", "https://a.test/", "https://a.test/acme/other/directory",
        "https://a.test/acme/localx/directory", "/acme/local/directory",
        "https://a.test/acme/local/", "https://a.test/acme/local//", "https://a.test/acme/local/x",
        "https://a.test/acme/local/order", "https://a.test/acme/local/order//finalize",
        "https://a.test/acme/local/order/a%20b", "https://a.test/acme/local/order/a/b/c/d/e",
        "https://a.test/acme/local/authorization/a/1000",
        "https://a.test/acme/local/authorization/a/-1", "https://a.test/acme/local/certificate/a/0",
        "https://a.test/acme/local/account/a/orders?after=%",
        "https://a.test/acme/local/challenge/a/0/http-02"}) {
    EXPECT_EQ(ServerRoute::Kind::kNothing, parse_route(url, "local").kind) << url;
  }
}

TEST(ServerOrderTest, ItsRowIsReadAsItWasWritten) {
  ServerOrder order;
  order.id = "ab";
  order.account = "cd";
  order.created = kNow;
  order.expires = kNow + seconds(60);
  for (const char* const name : {"a.test", "*.a.test"}) {
    const auto wildcard = ServerName::parse_wildcard(name);
    order.authorizations.push_back(
        make_authorization(wildcard ? *wildcard : *ServerName::parse(name)));
  }
  order.authorizations.push_back(make_authorization(*ServerName::parse_ip("2001:db8::7")));
  conclude(order.authorizations[0], ChallengeType::kTlsAlpn01, R"({"type":"x"})", kNow);
  conclude(order.authorizations[1], ChallengeType::kDns01, "", kNow);
  order.settle();
  EXPECT_EQ(OrderStatus::kInvalid, order.status);
  const AcmeOrderRow row = order.row("local");
  const Result<ServerOrder> read = ServerOrder::from_row(row);
  ASSERT_TRUE(read);
  EXPECT_EQ(row.document, read->row("local").document);
  EXPECT_EQ(order.object("b", kNow), read->object("b", kNow));
  for (size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(order.authorization_object("b", i, kNow), read->authorization_object("b", i, kNow));
  }
}

TEST(ServerOrderTest, ADamagedRowIsAnError) {
  ServerOrder order;
  order.authorizations.push_back(make_authorization(*ServerName::parse("a.test")));
  const std::string good = order.row("local").document;
  ASSERT_TRUE(ServerOrder::from_row({"local", "ab", "cd", kNow, good}));
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string("[]"), good.substr(0, good.size() - 1),
        std::string(R"({"s":"pending","c":1,"a":[]})"),
        std::string(R"({"s":"odd","c":1,"a":[{"n":"a.test","s":"pending","t":"t","c":[]}]})"),
        std::string(R"({"s":"pending","c":1,"a":[{"n":"a b","s":"pending","t":"t","c":[]}]})")}) {
    EXPECT_FALSE(ServerOrder::from_row({"local", "ab", "cd", kNow, bad})) << bad;
  }
}

TEST(ServerOrderTest, ATimeThatIsNoneIsLeftOut) {
  for (const char* const time : {"-1", "1e300", "253402300800", "\"1\""}) {
    const std::string document = std::string(R"({"s":"pending","c":)") + time +
                                 R"(,"a":[{"n":"a.test","s":"pending","t":"t","c":[]}]})";
    const Result<ServerOrder> read = ServerOrder::from_row({"local", "ab", "cd", kNow, document});
    ASSERT_TRUE(read) << document;
    EXPECT_EQ(WallTime{}, read->created);
  }
}

TEST(CsrReaderTest, NamesKeyAndMustStaple) {
  const PrivateKey key = generate_p256_key();
  const Judged<CsrFacts> plain = read_csr(make_csr(*ServerName::parse("a.test"), key));
  ASSERT_TRUE(plain);
  EXPECT_THAT(plain->names, ElementsAre(*ServerName::parse("a.test")));
  EXPECT_FALSE(plain->must_staple);
  const Judged<CsrFacts> stapled = read_csr(make_csr(*ServerName::parse("a.test"), key, true));
  ASSERT_TRUE(stapled);
  EXPECT_TRUE(stapled->must_staple);
  const Judged<CsrFacts> address = read_csr(make_csr(*ServerName::parse_ip("2001:db8::7"), key));
  ASSERT_TRUE(address);
  EXPECT_THAT(address->names, ElementsAre(*ServerName::parse_ip("2001:db8::7")));
}

TEST(CsrReaderTest, NothingThatWasTouchedIsTaken) {
  const std::string good = make_csr(*ServerName::parse("a.test"), generate_p384_key());
  ASSERT_TRUE(read_csr(good));
  for (size_t i = 0; i < good.size(); ++i) {
    std::string touched = good;
    touched[i] = static_cast<char>(touched[i] ^ 1);
    EXPECT_FALSE(read_csr(touched)) << i;
    EXPECT_FALSE(read_csr(good.substr(0, i))) << i;
  }
}

TEST(CsrReaderTest, ACommonNameThatIsNoNameIsOverlookedBesideOthers) {
  const PrivateKey key = generate_p256_key();
  const auto names = [&](std::vector<std::string> alternative, const std::string& common) {
    OddCsr odd;
    odd.names = std::move(alternative);
    odd.common_name = common;
    const Judged<CsrFacts> facts = read_csr(odd.signed_by(key));
    std::string list;
    if (!facts) return std::string("refused");
    for (const ServerName& one : facts->names) list += one.text() + " ";
    return list;
  };
  EXPECT_EQ("a.test b.test ", names({"b.test", "a.test"}, ""));
  EXPECT_EQ("a.test ", names({"a.test"}, "My Router"));
  EXPECT_EQ("a.test b.test ", names({"a.test"}, "b.test"));
  EXPECT_EQ("a.test ", names({}, "a.test"));
  EXPECT_EQ("refused", names({}, "My Router"));
  EXPECT_EQ("refused", names({"a b"}, ""));
}

TEST(CsrReaderTest, NothingStandsWhereItDoesNotBelong) {
  const PrivateKey key = generate_p256_key();
  OddCsr odd;
  odd.names = {"a.test"};
  odd.common_name = "a.test";
  odd.must_staple = true;
  const Judged<CsrFacts> good = read_csr(odd.signed_by(key));
  ASSERT_TRUE(good) << good.problem().detail;
  EXPECT_TRUE(good->must_staple);
  for (const auto extra :
       {OddCsr::Extra::kExtension, OddCsr::Extra::kList, OddCsr::Extra::kAttribute,
        OddCsr::Extra::kCommonName, OddCsr::Extra::kFeature, OddCsr::Extra::kFeatures}) {
    odd.extra = extra;
    EXPECT_FALSE(read_csr(odd.signed_by(key))) << static_cast<int>(extra);
  }
}

// A signature of a key that will not do is not verified: it may take long.
TEST(CsrReaderTest, TheKeyIsLookedAtBeforeTheSignature) {
  OddCsr odd;
  odd.names = {"a.test"};
  const PrivateKey weak = generate_rsa_key(1024);
  std::string request = odd.signed_by(weak);
  request.back() = static_cast<char>(request.back() ^ 1);
  const Judged<CsrFacts> facts = read_csr(request);
  ASSERT_FALSE(facts);
  EXPECT_THAT(facts.problem().detail, ::testing::HasSubstr("2048 to 4096 bits"));
}

TEST(CsrReaderTest, ALeafIsReadBack) {
  const CertificatePtr leaf = TestCa().issue({"a.test", "*.b.test", "192.0.2.7"});
  const Result<LeafFacts> facts = read_leaf(leaf->chain_der().front());
  ASSERT_TRUE(facts);
  EXPECT_EQ(leaf->serial(), facts->serial);
  EXPECT_EQ(3u, facts->names.size());
  EXPECT_FALSE(read_leaf(leaf->chain_der().front() + "x"));
  EXPECT_FALSE(read_leaf(""));
}

}  // namespace
}  // namespace latchkey::acme
