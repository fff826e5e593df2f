// The whole client against Debian's Pebble: validation on, 5 % of the nonces rejected, half of the
// valid authorizations reused, validation that sleeps.

#include "tests/support/pebble.h"

#include <gtest/gtest.h>

#include <list>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "acme/issuer.h"
#include "base/curl_http_client.h"
#include "base/loop.h"
#include "tests/support/challenge_responder.h"
#include "tests/support/eventually.h"
#include "tests/support/fake_store.h"
#include "tests/support/key_facts.h"
#include "tests/support/temp_folder.h"

namespace latchkey::acme {
namespace {

using test::ChallengeResponder;
using test::Pebble;

class PebbleTest : public ::testing::Test {
 protected:
  static Pebble::Options options(const ChallengeResponder& responder, bool sleeps) {
    Pebble::Options options;
    options.http_port = responder.http_port();
    options.tls_port = responder.tls_port();
    options.sleeps = sleeps;
    return options;
  }

  void begin(bool sleeps, IssuerOptions settings = {}) {
    pebble.emplace(folder / "pebble", options(responder, sleeps));
    CurlHttpClient::Options with;
    with.ca_file = pebble->ca_file();
    http.emplace(loop.uv(), with);
    settings.name = "pebble";
    settings.directory = pebble->directory();
    settings.accept_terms = true;
    settings.email = "test@example.com";
    issuer.emplace(settings, *http, loop.clock(), store, challenges, log);
  }

  // Everything at once, until all are done.
  std::map<std::string, Result<CertificatePtr>> obtain(std::vector<std::string> names) {
    std::map<std::string, Result<CertificatePtr>> outcomes;
    std::list<Task<>> tasks;
    size_t left = names.size();
    for (const std::string& name : names) {
      tasks.push_back(collect(*this, name, outcomes, left));
      tasks.back().start();
    }
    const Alarm limit = loop.clock().after(Millis(120'000), [this] { loop.stop(); });
    if (left > 0) loop.run();
    return outcomes;
  }

  static Task<> collect(PebbleTest& test, std::string name,
                        std::map<std::string, Result<CertificatePtr>>& outcomes, size_t& left) {
    IssuanceJob job{*ServerName::parse(name)};
    job.key_type = test.key_type;
    job.on_failure = [&test](const IssuanceFailure& f) { test.failure = f; };
    Task<CertificatePtr> task = test.issuer->obtain(std::move(job));
    Result<CertificatePtr> outcome = co_await std::move(task).result();
    outcomes.emplace(name, std::move(outcome));
    if (--left == 0) test.loop.stop();
    co_return Unit{};
  }

  test::TempFolder folder;
  ChallengeTable challenges;
  ChallengeResponder responder{challenges};
  std::optional<Pebble> pebble;
  Log log{2, Log::Format::kText, LogLevel::kInfo};
  FakeStore store;
  Loop loop;
  std::optional<CurlHttpClient> http;
  std::optional<AcmeIssuer> issuer;
  std::string key_type;
  std::optional<IssuanceFailure> failure;  // the last one
};

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
