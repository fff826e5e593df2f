// Accounts, revocation, other chains and addresses against Debian's Pebble, which checks every
// signature for itself.

#include <gmock/gmock.h>

#include <string>

#include "acme/base64url.h"
#include "acme/chain_choice.h"
#include "tests/acme/pebble_fixture.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

using ::testing::HasSubstr;

class PebbleAccountTest : public PebbleTest {
 protected:
  AccountRecord& record() { return store.accounts.begin()->second; }
  template <typename T>
  static std::string error(const Result<T>& result) {
    return result ? "it worked" : result.error().message;
  }
  Result<AccountStatus> status() { return test::run(loop, issuer->account_status()); }

  static constexpr const char* kMacKey = "an HMAC key of thirty-two bytes!";
};

TEST_F(PebbleAccountTest, AnExternalAccountIsBound) {
  test::Pebble::Options options = pebble_options(responder, false);
  options.external_accounts = {{"kid-1", base64url(kMacKey)}, {"kid-2", base64url(kMacKey)}};
  begin(options);
  EXPECT_THAT(error(test::run(loop, issuer->prepare())), HasSubstr("issuers[].acme.eab"));
  IssuerOptions settings;
  settings.eab = ExternalAccount{"kid-1", "some other key"};
  restart(settings);
  EXPECT_THAT(error(test::run(loop, issuer->prepare())), HasSubstr("kid \"kid-1\""));
  settings.eab->hmac_key = kMacKey;
  restart(settings);
  EXPECT_NE(certificate("a.test"), nullptr);
  EXPECT_EQ(record().eab_kid, "kid-1");

  const AccountRecord before = record();
  settings.eab->kid = "kid-2";
  restart(settings);
  EXPECT_NE(certificate("b.test"), nullptr);
  EXPECT_NE(record().url, before.url);
  EXPECT_NE(record().key_der, before.key_der);
}

// As other clients make them.
TEST_F(PebbleAccountTest, AccountsThatWereBroughtAlongAreUsedWhateverTheirKey) {
  test::Pebble::Options options = pebble_options(responder, false);
  options.external_accounts = {{"kid-1", base64url(kMacKey)}};
  begin(options);
  IssuerOptions settings;
  settings.eab = ExternalAccount{"kid-1", kMacKey};
  const PrivateKey keys[] = {generate_rsa2048_key(), generate_rsa_key(3072), generate_p384_key()};
  int number = 0;
  for (const PrivateKey& key : keys) {
    SCOPED_TRACE(number);
    store.accounts[pebble->directory()] = {pebble->directory(), "", private_key_to_der(key)};
    restart(settings);
    ASSERT_TRUE(test::run(loop, issuer->prepare())) << "registered with that key";
    const std::string url = record().url;
    const size_t accounts = pebble->accounts();
    record().eab_kid.clear();
    restart(settings);
    EXPECT_NE(certificate("n" + std::to_string(number++) + ".test"), nullptr);
    EXPECT_EQ(record().url, url);
    EXPECT_EQ(record().key_der, private_key_to_der(key));
    EXPECT_EQ(pebble->accounts(), accounts);
    // Without a URL it is looked for by its key.
    record().url.clear();
    restart(settings);
    ASSERT_TRUE(test::run(loop, issuer->prepare()));
    EXPECT_EQ(record().url, url);
    // It can get a key of ours.
    const Result<> rolled = test::run(loop, issuer->roll_key());
    EXPECT_TRUE(rolled) << error(rolled);
    EXPECT_NE(certificate("n" + std::to_string(number++) + ".test"), nullptr);
  }
}

TEST_F(PebbleAccountTest, AChangeOfKeyIsTakenAndOrdersGoOn) {
  begin(false);
  ASSERT_NE(certificate("a.test"), nullptr);
  const AccountRecord before = record();
  for (int i = 0; i < 3; ++i) {
    const Result<> rolled = test::run(loop, issuer->roll_key());
    ASSERT_TRUE(rolled) << error(rolled);
  }
  EXPECT_EQ(record().url, before.url);
  EXPECT_NE(record().key_der, before.key_der);
  EXPECT_NE(certificate("b.test"), nullptr);
  restart({});
  EXPECT_NE(certificate("c.test"), nullptr);
}

TEST_F(PebbleAccountTest, AChangeOfKeyWhoseAnswerWasLostIsFoundOut) {
  begin(false);
  ASSERT_NE(certificate("a.test"), nullptr);
  const AccountRecord before = record();
  ASSERT_TRUE(test::run(loop, issuer->roll_key()));
  const AccountRecord after = record();

  // As a crash behind the CA's answer would have left it ...
  record() = before;
  record().next_key_der = after.key_der;
  restart({});
  EXPECT_NE(certificate("b.test"), nullptr);
  EXPECT_EQ(record().key_der, after.key_der);
  EXPECT_EQ(record().next_key_der, "");

  // ... and before the CA has heard of it.
  record().next_key_der = before.key_der;
  restart({});
  EXPECT_NE(certificate("c.test"), nullptr);
  EXPECT_EQ(record().key_der, after.key_der);
  EXPECT_EQ(record().url, before.url);
}

TEST_F(PebbleAccountTest, ADeactivationIsKnownThere) {
  begin(false);
  ASSERT_NE(certificate("a.test"), nullptr);
  Result<AccountStatus> now = status();
  ASSERT_TRUE(now) << error(now);
  EXPECT_EQ(now->status, "valid");
  EXPECT_THAT(now->contact, ::testing::ElementsAre("mailto:test@example.com"));
  const std::string before = record().url;

  const Result<> deactivated = test::run(loop, issuer->deactivate());
  ASSERT_TRUE(deactivated) << error(deactivated);
  EXPECT_THAT(error(obtain({"b.test"}).at("b.test")), HasSubstr("account reactivate pebble"));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->failure, FailureClass::kAccount);
  record().deactivated = false;  // as if somebody else had done it
  restart({});
  EXPECT_FALSE(status());
  EXPECT_FALSE(obtain({"b.test"}).at("b.test"));

  const Result<> reactivated = test::run(loop, issuer->reactivate());
  ASSERT_TRUE(reactivated) << error(reactivated);
  EXPECT_NE(record().url, before);
  EXPECT_NE(certificate("b.test"), nullptr);
}

TEST_F(PebbleAccountTest, ACertificateIsRevokedByTheAccountOrByItsOwnKey) {
  IssuerOptions settings;
  settings.home = loop.address();
  begin(false, settings);
  for (const char* type : {"p256", "p384", "rsa2048"}) {
    key_type = type;
    const CertificatePtr mine = certificate(key_type + "-a.test");
    const CertificatePtr other = certificate(key_type + "-b.test");
    ASSERT_TRUE(mine && other);
    EXPECT_EQ(pebble->status_of(mine->serial()), "Valid");
    for (int i = 0; i < 2; ++i) {  // once more is no error
      const Result<> revoked = test::run(loop, issuer->revoke(mine, RevocationReason::kSuperseded));
      ASSERT_TRUE(revoked) << error(revoked);
    }
    EXPECT_EQ(pebble->status_of(mine->serial()), "Revoked");

    store.accounts.clear();  // the account that ordered it is lost to us
    restart(settings);
    const Result<> revoked =
        test::run(loop, issuer->revoke(other, RevocationReason::kKeyCompromise));
    ASSERT_TRUE(revoked) << error(revoked);
    EXPECT_EQ(pebble->status_of(other->serial()), "Revoked");
  }
}

TEST_F(PebbleAccountTest, OfTheChainsThePreferredOneIsTaken) {
  test::Pebble::Options options = pebble_options(responder, false);
  options.alternate_roots = 2;
  begin(options);
  const std::string wanted = common_name(pebble->root(2));
  ASSERT_NE(wanted, "");
  IssuerOptions settings;
  settings.preferred_chain = wanted;
  restart(settings);
  const CertificatePtr preferred = certificate("a.test");
  settings.preferred_chain = "";
  restart(settings);
  const CertificatePtr usual = certificate("b.test");
  ASSERT_TRUE(preferred && usual);
  EXPECT_NE(preferred->chain_der().back(), usual->chain_der().back());
}

TEST_F(PebbleAccountTest, AnAddressIsProvenInEitherWay) {
  for (const auto type : {ChallengeType::kTlsAlpn01, ChallengeType::kHttp01}) {
    IssuerOptions settings;
    settings.challenges = {type};
    begin(false, settings);
    const CertificatePtr issued = certificate("127.0.0.1");
    ASSERT_NE(issued, nullptr) << to_string(type);
    EXPECT_THAT(issued->names(), ::testing::ElementsAre("127.0.0.1"));
    store.accounts.clear();
  }
}

}  // namespace
}  // namespace latchkey::acme
