// DNS-01 against Debian's Pebble, which looks into Debian's bind9, which takes our updates.

#include <gmock/gmock.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme/dns_proofs.h"
#include "acme/rfc2136.h"
#include "base/resolver.h"
#include "tests/acme/pebble_fixture.h"
#include "tests/support/eventually.h"
#include "tests/support/key_facts.h"
#include "tests/support/name_server.h"

namespace latchkey::acme {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class PebbleDns01Test : public PebbleTest {
 protected:
  PebbleDns01Test() {
    Rfc2136Records::Options update;
    update.server = names.address();
    update.key_name = names.key_name();
    update.algorithm = names.algorithm();
    update.secret = names.secret();
    records.emplace(std::move(update), loop.uv(), loop.clock(), log);
    Resolver::Options look;
    look.servers = names.address();
    resolver.emplace(loop.uv(), look);
    DnsProofs::Options options;
    options.resolvers = names.address();
    options.propagation_timeout = Millis(500);
    options.poll = Millis(20);
    proofs.emplace(std::move(options),
                   DnsProofs::Parts{*records, *resolver, store, loop.clock(), log});
  }
  ~PebbleDns01Test() override { issuer.reset(); }

  static test::NameServer::Options zones() {
    test::NameServer::Options options;
    options.zones = {{"a.test", ""}, {"b.test", "_acme-challenge CNAME proofs.for-all\n"}};
    return options;
  }
  void begin_with(std::vector<ChallengeType> types) {
    IssuerOptions settings;
    settings.challenges = std::move(types);
    settings.dns = &*proofs;
    settings.home = loop.address();
    test::Pebble::Options options = pebble_options(responder, false);
    options.dns_server = names.address();
    begin(options, std::move(settings));
  }
  // Withdrawing goes on in the background.
  void expect_gone(const std::string& domain) {
    for (int i = 0; i < 100 && !names.txt(domain).empty(); ++i) {
      const Alarm soon = loop.clock().after(Millis(50), [this] { loop.stop(); });
      loop.run();
    }
    EXPECT_THAT(names.txt(domain), IsEmpty());
  }

  test::NameServer names{folder / "named", zones()};
  std::optional<Rfc2136Records> records;
  std::optional<Resolver> resolver;
  std::optional<DnsProofs> proofs;
};

TEST_F(PebbleDns01Test, AWildcardIsIssuedAndItsRecordIsTakenAway) {
  begin_with({ChallengeType::kDns01});
  const CertificatePtr issued = certificate("*.a.test");
  ASSERT_NE(issued, nullptr);
  EXPECT_THAT(issued->names(), ElementsAre("*.a.test"));
  EXPECT_TRUE(issued->covers(*ServerName::parse("x.a.test")));
  expect_gone("_acme-challenge.a.test");
}

TEST_F(PebbleDns01Test, AWildcardAndItsNameAreProvenAtOnce) {
  begin_with({ChallengeType::kDns01});
  const auto outcomes = obtain({"*.a.test", "a.test", "*.x.a.test", "y.a.test"});
  for (const auto& [name, outcome] : outcomes) {
    EXPECT_TRUE(outcome) << outcome.error().message;
  }
  for (const char* domain : {"a.test", "x.a.test", "y.a.test"}) {
    expect_gone("_acme-challenge." + std::string(domain));
  }
}

TEST_F(PebbleDns01Test, AChallengeThatIsDelegatedIsProvenThere) {
  begin_with({ChallengeType::kDns01});
  EXPECT_NE(certificate("*.b.test"), nullptr);
  EXPECT_THAT(names.log(), HasSubstr("proofs.for-all.b.test"));
  expect_gone("proofs.for-all.b.test");
}

TEST_F(PebbleDns01Test, EachTypeProvesAName) {
  int number = 0;
  for (const auto type :
       {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01, ChallengeType::kDns01}) {
    begin_with({type});
    EXPECT_NE(certificate("n" + std::to_string(number++) + ".a.test"), nullptr) << to_string(type);
    store.accounts.clear();
  }
}

TEST_F(PebbleDns01Test, AWildcardHasATwinToo) {
  begin_with({ChallengeType::kTlsAlpn01, ChallengeType::kDns01});
  slot = Slot::kRsa;
  const CertificatePtr twin = certificate("*.a.test");
  ASSERT_NE(twin, nullptr);
  EXPECT_EQ(test::key_bits(twin->key()), 2048);
  EXPECT_TRUE(twin->is_rsa());
}

// The CA does not see what we publish.
TEST_F(PebbleDns01Test, ARefusedProofIsTakenAway) {
  begin_with({ChallengeType::kDns01});
  test::Pebble::Options options = pebble_options(responder, false);  // its own DNS
  IssuerOptions settings;
  settings.challenges = {ChallengeType::kDns01};
  settings.dns = &*proofs;
  begin(options, std::move(settings));
  const auto outcome = obtain({"*.a.test"}).at("*.a.test");
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("could not validate *.a.test by dns-01"));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->answered, ChallengeType::kDns01);
  expect_gone("_acme-challenge.a.test");
}

TEST_F(PebbleDns01Test, AnUpdateThatIsRefusedIsNotTheCasFault) {
  begin_with({ChallengeType::kDns01});
  const auto outcome = obtain({"*.c.test"}).at("*.c.test");
  ASSERT_FALSE(outcome);
  EXPECT_THAT(outcome.error().message, HasSubstr("our own DNS did not take the record"));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->failure, FailureClass::kDns);
  EXPECT_EQ(pebble->failed_validations(), 0u);
}

}  // namespace
}  // namespace latchkey::acme
