// The whole client against Debian's Pebble: validation on, 5 % of the nonces rejected, half of the
// valid authorizations reused, validation that sleeps.

#include <set>
#include <string>
#include <vector>

#include "tests/acme/pebble_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/key_facts.h"

namespace latchkey::acme {
namespace {

TEST_F(PebbleTest, TenNamesAtOnceAllGetTheirCertificate) {
  begin(true);
  std::vector<std::string> names;
  for (int i = 0; i < 10; ++i) names.push_back("n" + std::to_string(i) + ".test");
  const auto outcomes = obtain(names);
  ASSERT_EQ(outcomes.size(), 10u);
  std::set<std::string> serials;
  for (const auto& [name, outcome] : outcomes) {
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ((*outcome)->names(), std::vector<std::string>{name});
    serials.insert((*outcome)->serial());
  }
  EXPECT_EQ(serials.size(), 10u);
  EXPECT_EQ(issuer->counts().orders.value(), 10u);
  EXPECT_EQ(pebble->issued(), 10u);
  EXPECT_EQ(issuer->counts().failures.value(), 0u);
  EXPECT_GE(challenges.tls_alpn_answers.value(), 10u);
  ASSERT_EQ(store.accounts.size(), 1u);
  EXPECT_FALSE(store.accounts.begin()->second.url.empty());
}

TEST_F(PebbleTest, AFailedTlsChallengeIsMadeGoodByHttpAndRemembered) {
  begin(false);
  responder.tls_broken = true;
  const auto outcomes = obtain({"a.test"});
  ASSERT_TRUE(outcomes.at("a.test")) << outcomes.at("a.test").error().message;
  EXPECT_EQ(issuer->counts().orders.value(), 2u);
  EXPECT_GE(challenges.http_answers.value(), 1u);
  EXPECT_TRUE(obtain({"a.test"}).at("a.test"));
  EXPECT_EQ(issuer->counts().orders.value(), 3u) << "HTTP-01 comes first now";
}

TEST_F(PebbleTest, AFailedHttpChallengeIsMadeGoodByTls) {
  IssuerOptions settings;
  settings.challenges = {ChallengeType::kHttp01, ChallengeType::kTlsAlpn01};
  begin(false, settings);
  responder.http_broken = true;
  const auto outcomes = obtain({"a.test"});
  ASSERT_TRUE(outcomes.at("a.test")) << outcomes.at("a.test").error().message;
  EXPECT_EQ(issuer->counts().orders.value(), 2u);
}

TEST_F(PebbleTest, WhenNothingAnswersTheErrorSaysWhatTheCaSaw) {
  begin(false);
  responder.tls_broken = true;
  responder.http_broken = true;
  const auto outcome = obtain({"a.test"}).at("a.test");
  ASSERT_FALSE(outcome);
  EXPECT_NE(outcome.error().message.find("by http-01"), std::string::npos)
      << outcome.error().message;
  EXPECT_NE(outcome.error().message.find("by tls-alpn-01"), std::string::npos);
  ASSERT_TRUE(failure);
  EXPECT_TRUE(failure->problem);
  EXPECT_EQ(issuer->counts().orders.value(), 2u) << "one fall-back, no more";
}

TEST_F(PebbleTest, KeysOfEachTypeAreCertified) {
  IssuerOptions settings;
  settings.home = loop.address();
  begin(false, settings);
  const std::pair<const char*, int> types[] = {{"p384", 384}, {"rsa2048", 2048}};
  for (const auto& [type, bits] : types) {
    key_type = type;
    const auto outcome = obtain({key_type + ".test"}).at(key_type + ".test");
    ASSERT_TRUE(outcome) << outcome.error().message;
    EXPECT_EQ(test::key_bits((*outcome)->key()), bits);
  }
}

TEST_F(PebbleTest, ACaThatForgotOurAccountIsToldAgain) {
  begin(false);
  ASSERT_TRUE(obtain({"a.test"}).at("a.test"));
  const std::string before = store.accounts.begin()->second.url;
  pebble->start();  // remembers nothing
  const auto outcomes = obtain({"b.test", "c.test", "d.test"});
  for (const auto& [name, outcome] : outcomes) {
    ASSERT_TRUE(outcome) << outcome.error().message;
  }
  EXPECT_NE(store.accounts.begin()->second.url, before);
  EXPECT_EQ(store.account_puts.size(), 3u) << "the key, its first account, its second: once each";
}

TEST_F(PebbleTest, AnAccountIsKeptAcrossRestarts) {
  begin(false);
  ASSERT_TRUE(obtain({"a.test"}).at("a.test"));
  issuer.emplace(IssuerOptions{"pebble", pebble->directory(), "", true}, *http, loop.clock(), store,
                 challenges, log);
  ASSERT_TRUE(obtain({"b.test"}).at("b.test"));
  EXPECT_EQ(store.account_puts.size(), 2u);
}

TEST_F(PebbleTest, ABareOrderIsFast) {
  begin(false);
  ASSERT_TRUE(obtain({"warm.test"}).at("warm.test"));
  const test::Stopwatch watch;
  constexpr int kOrders = 20;
  for (int i = 0; i < kOrders; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    ASSERT_TRUE(obtain({name}).at(name));
  }
  RecordProperty("ms_per_order", std::to_string(watch.elapsed().count() / kOrders));
  std::printf("%d ms an order\n", static_cast<int>(watch.elapsed().count() / kOrders));
  EXPECT_LT(watch.elapsed() / kOrders, Millis(3000));
}

}  // namespace
}  // namespace latchkey::acme
