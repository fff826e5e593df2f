#include "edge/authority_source.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "tests/acme/authority_fixture.h"
#include "tests/support/chain_check.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

class AuthoritySourceTest : public acme::AuthorityFixture {
 protected:
  void SetUp() override { open({}); }
  void open(const AuthorityConfig& config) {
    source.reset();
    authority = start(config.lifetimes);
    source =
        std::make_unique<AuthoritySource>("local", config, *authority, store, std::nullopt, log);
  }
  OrderOutcome order(const ServerName& name, Slot slot = Slot::kMain,
                     const std::string& type = "") {
    OrderJob job{name};
    job.slot = slot;
    if (!type.empty()) {
      auto grant = std::make_shared<Grant>();
      grant->key_type = type;
      job.grant = std::move(grant);
    }
    auto outcome = outcome_of(source->order(std::move(job)));
    EXPECT_TRUE(outcome);
    return outcome ? *std::move(outcome) : OrderOutcome();
  }
  OrderOutcome order(const std::string& name) { return order(*ServerName::parse(name)); }

  std::unique_ptr<acme::Authority> authority;
  std::unique_ptr<AuthoritySource> source;
};

TEST_F(AuthoritySourceTest, MakesTheKeyAndSignsWithoutAnybodysProof) {
  const OrderOutcome outcome = order("shop.a.test");
  ASSERT_NE(outcome.certificate, nullptr);
  EXPECT_FALSE(outcome.failure);
  EXPECT_EQ(outcome.issuer, "local");
  EXPECT_EQ(outcome.account, "");
  EXPECT_TRUE(outcome.certificate->covers(*ServerName::parse("shop.a.test")));
  EXPECT_EQ(
      test::chain_error(outcome.certificate->chain_der(), authority->roots_pem(), clock.wall_now()),
      "");
  EXPECT_TRUE(store.issued.contains({"local", outcome.certificate->serial()}));
  EXPECT_EQ(source->signed_count(), 1U);
  EXPECT_TRUE(source->embedded());
}

TEST_F(AuthoritySourceTest, SignsWildcardsAndAddresses) {
  const auto wildcard = order(*ServerName::parse_wildcard("*.a.test"));
  ASSERT_NE(wildcard.certificate, nullptr);
  EXPECT_TRUE(wildcard.certificate->covers(*ServerName::parse("x.a.test")));
  const auto address = order(*ServerName::parse_ip("192.0.2.1"));
  ASSERT_NE(address.certificate, nullptr);
  EXPECT_TRUE(address.certificate->covers_host("192.0.2.1"));
  EXPECT_TRUE(source->proves_wildcards());
}

TEST_F(AuthoritySourceTest, KeysAreOfTheTypeThatIsWanted) {
  const ServerName name = *ServerName::parse("a.test");
  EXPECT_EQ(key_type_of(order(name).certificate->key()), "p256");
  EXPECT_EQ(key_type_of(order(name, Slot::kMain, "p384").certificate->key()), "p384");
  EXPECT_EQ(key_type_of(order(name, Slot::kMain, "dsa").certificate->key()), "p256");
  EXPECT_TRUE(order(name, Slot::kRsa, "p384").certificate->is_rsa());
}

TEST_F(AuthoritySourceTest, RefusesNamesThatItMustNotSign) {
  AuthorityConfig config;
  config.allow = {"*.in.test", "one.test", "10.0.0.0/8"};
  open(config);
  EXPECT_NE(order("a.b.in.test").certificate, nullptr);
  EXPECT_NE(order("one.test").certificate, nullptr);
  EXPECT_NE(order(*ServerName::parse_wildcard("*.in.test")).certificate, nullptr);
  EXPECT_NE(order(*ServerName::parse_ip("10.1.2.3")).certificate, nullptr);
  for (const ServerName& name :
       {*ServerName::parse("two.test"), *ServerName::parse("in.test"),
        *ServerName::parse_wildcard("*.one.test"), *ServerName::parse_ip("192.0.2.1")}) {
    const OrderOutcome refused = order(name);
    EXPECT_EQ(refused.certificate, nullptr) << name.text();
    ASSERT_TRUE(refused.failure);
    EXPECT_EQ(refused.failure->failure, FailureClass::kRejectedIdentifier);
    EXPECT_FALSE(refused.failure->of_the_ca);
    EXPECT_NE(refused.failure->error.message.find("authority.allow"), std::string::npos);
  }
}

TEST_F(AuthoritySourceTest, AStoreThatFailsIsNotTheNamesFault) {
  store.full = Error{ErrorCode::kIo, "disk full"};
  const OrderOutcome outcome = order("a.test");
  ASSERT_TRUE(outcome.failure);
  EXPECT_EQ(outcome.failure->failure, FailureClass::kStorage);
  EXPECT_TRUE(outcome.failure->of_the_ca);
  EXPECT_NE(outcome.failure->error.message.find("issuer local"), std::string::npos);
}

TEST_F(AuthoritySourceTest, AdviceIsTheAuthoritysWindow) {
  const CertificatePtr certificate = order("a.test").certificate;
  ASSERT_NE(certificate, nullptr);
  const auto advice = outcome_of(source->renewal_advice(certificate));
  ASSERT_TRUE(advice);
  EXPECT_GT(advice->window.start, certificate->not_before());
  EXPECT_LT(advice->window.end, certificate->not_after());
  EXPECT_GE(advice->poll_after, Millis(1min));
  EXPECT_LE(advice->poll_after, Millis(6h));
}

TEST_F(AuthoritySourceTest, RevokesBySerialOnceAndKnowsOthersNot) {
  const CertificatePtr certificate = order("a.test").certificate;
  ASSERT_NE(certificate, nullptr);
  EXPECT_TRUE(outcome_of(source->revoke(certificate, "keyCompromise")));
  const auto row = store.issued.at({"local", certificate->serial()});
  EXPECT_TRUE(row.revoked_at);
  EXPECT_EQ(row.reason, 1);
  EXPECT_TRUE(outcome_of(source->revoke(certificate, "keyCompromise"))) << "it is revoked already";
  const auto window = outcome_of(source->renewal_advice(certificate));
  ASSERT_TRUE(window);
  EXPECT_LE(window->window.end, clock.wall_now()) << "to be renewed now";
  store.issued.clear();
  const auto unknown = outcome_of(source->revoke(certificate, "superseded"));
  ASSERT_FALSE(unknown);
  EXPECT_EQ(unknown.error().code, ErrorCode::kNotFound);
  EXPECT_FALSE(outcome_of(source->revoke(certificate, "boredom")));
}

}  // namespace
}  // namespace latchkey::edge
