#include "acme/authority/authority.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "acme/authority/ocsp_responder.h"
#include "acme/ocsp.h"
#include "cache/pem.h"
#include "tests/acme/authority_fixture.h"
#include "tests/support/chain_check.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

constexpr const char* kStatusUrl = "http://ca.test/acme/local";

class AuthorityTest : public AuthorityFixture {
 protected:
  std::string error_of(const Chain& chain, const std::string& roots, seconds later = 0s) const {
    return test::chain_error(chain, roots, clock.wall_now() + later);
  }
  CertificatePtr certificate(const Authority& authority, const IssuedCertificate& issued) const {
    return *Certificate::from_der(authority.chains(issued).front(), leaf_key);
  }
  std::vector<Authority::SignerStatus> active(const Authority& authority) const {
    std::vector<Authority::SignerStatus> out;
    for (const auto& signer : authority.signers()) {
      if (signer.active) out.push_back(signer);
    }
    return out;
  }
};

TEST_F(AuthorityTest, MakesARootAndAnIntermediateOnceAndKeepsThem) {
  std::string roots;
  {
    const auto authority = start({});
    roots = authority->roots_pem();
    EXPECT_EQ(authority->signers().size(), 2U);
  }
  const auto again = start({});
  EXPECT_EQ(again->roots_pem(), roots);
  EXPECT_EQ(store.key_puts, 2);
}

TEST_F(AuthorityTest, ReadsAgainWhatAnotherProcessHasRotated) {
  const auto authority = start({});
  const auto other = start({});
  EXPECT_TRUE(outcome_of(other->rotate(true)));
  EXPECT_NE(authority->roots_pem(), other->roots_pem());
  authority->stop();
  const Chain chain = *outcome_of(authority->issue(request("shop.a.test")));
  EXPECT_EQ(authority->roots_pem(), other->roots_pem());
  EXPECT_EQ(error_of(chain, other->roots_pem()), "");
  EXPECT_EQ(authority->signers().size(), other->signers().size());
}

TEST_F(AuthorityTest, ALeafIsGoodUnderTheRootAloneForExactlyItsLife) {
  const auto authority = start({});
  const Chain chain = *outcome_of(authority->issue(request("shop.a.test")));
  const std::string roots = authority->roots_pem();
  EXPECT_EQ(error_of(chain, roots), "");
  EXPECT_EQ(error_of(chain, roots, 12h - 1s), "");
  EXPECT_EQ(error_of(chain, roots, 12h), "certificate has expired");
  EXPECT_EQ(error_of(chain, roots, -59min), "") << "clients whose clocks are behind";
  const auto leaf = *Certificate::from_der(chain, leaf_key);
  EXPECT_EQ(leaf->names(), std::vector<std::string>{"shop.a.test"});
  EXPECT_EQ(leaf->chain_not_after(), leaf->not_after());
  EXPECT_EQ(leaf->ocsp_responder(), "");
  EXPECT_EQ(store.issued.size(), 1U);
  EXPECT_EQ(store.issued.begin()->first.second, leaf->serial());
}

TEST_F(AuthorityTest, NothingIsHandedOutThatIsNotStored) {
  const auto authority = start({});
  store.full = Error{ErrorCode::kIo, "the disk is full"};
  const auto chain = outcome_of(authority->issue(request("a.test")));
  ASSERT_FALSE(chain);
  EXPECT_EQ(chain.error().message, "the disk is full");
}

TEST_F(AuthorityTest, NoRootIsMadeWhereTheStoreCannotBeRead) {
  store.broken = Error{ErrorCode::kIo, "the key cannot be opened"};
  AuthorityOptions options;
  options.name = "local";
  Authority authority(options, store, clock, log);
  EXPECT_FALSE(outcome_of(authority.keep()));
  EXPECT_FALSE(outcome_of(authority.sign(request("a.test"))));
  EXPECT_EQ(store.key_puts, 0);
  store.broken.reset();
  EXPECT_TRUE(outcome_of(authority.sign(request("a.test")))) << "and later it goes on";
}

TEST_F(AuthorityTest, ManyWhoComeAtOnceGetOneIntermediate) {
  store.hold_writes = true;
  AuthorityOptions options;
  options.name = "local";
  Authority authority(options, store, clock, log);
  std::vector<Task<IssuedCertificate>> tasks;
  for (int i = 0; i < 10; ++i) {
    tasks.push_back(authority.sign(request("a.test")));
    tasks.back().start();
  }
  while (store.held() != 0) store.release();
  for (auto& task : tasks) {
    ASSERT_TRUE(task.done());
    EXPECT_TRUE(task.outcome());
  }
  EXPECT_EQ(store.key_puts, 2);
}

TEST_F(AuthorityTest, TheFirstWhoComesTooLateForTheOldIntermediateGetsANewOne) {
  const auto authority = start({});
  const IssuedCertificate before = sign(*authority, "a.test");
  const auto intermediate = active(*authority).front();
  EXPECT_EQ(intermediate.replace_at, intermediate.not_after - seconds(120'960));  // a fifth of 7 d
  clock.advance(intermediate.replace_at - clock.wall_now() - 1s);
  EXPECT_EQ(sign(*authority, "a.test").signer, before.signer);
  clock.advance(1s);
  const IssuedCertificate after = sign(*authority, "a.test");
  EXPECT_NE(after.signer, before.signer);
  EXPECT_EQ(error_of(authority->chains(after).front(), authority->roots_pem(), 12h - 1s), "");
}

TEST_F(AuthorityTest, WhileTwoIntermediatesLiveTheOldOneVouchesForTheNew) {
  const auto authority = start({});
  const int64_t old_signer = sign(*authority, "a.test").signer;
  ASSERT_TRUE(outcome_of(authority->rotate(false)));
  const IssuedCertificate leaf = sign(*authority, "a.test");
  const auto chains = authority->chains(leaf);
  ASSERT_EQ(chains.size(), 2U);
  EXPECT_EQ(chains[0].size(), 2U);
  ASSERT_EQ(chains[1].size(), 3U);
  EXPECT_EQ(chains[1].front(), leaf.leaf) << "the same leaf: RFC 8555, 7.4.2";
  EXPECT_EQ(chains[1].back(), *authority->issuer_certificate(old_signer));
  for (const Chain& chain : chains)
    EXPECT_EQ(error_of(chain, authority->roots_pem(), 12h - 1s), "");
  // Who trusts the old intermediate and nothing else follows the second one.
  clock.advance(std::chrono::days(6) + 12h + 1s);
  EXPECT_EQ(authority->chains(sign(*authority, "a.test")).size(), 1U)
      << "the old one would end before the leaf";
}

TEST_F(AuthorityTest, ClientsWithTheOldRootAloneFollowTheLinkToTheNewOne) {
  const auto authority = start({});
  const std::string old_root = authority->roots_pem();
  const IssuedCertificate before = sign(*authority, "a.test");
  ASSERT_TRUE(outcome_of(authority->rotate(true)));
  const std::string roots = authority->roots_pem();
  ASSERT_TRUE(roots.ends_with(old_root)) << "the newest first";
  const std::string new_root = roots.substr(0, roots.size() - old_root.size());
  const IssuedCertificate leaf = sign(*authority, "a.test");
  const auto chains = authority->chains(leaf);
  ASSERT_EQ(chains.size(), 3U);
  EXPECT_EQ(error_of(chains[0], old_root, 12h - 1s), "");
  EXPECT_EQ(error_of(chains[0], new_root, 12h - 1s), "");
  EXPECT_EQ(error_of(chains[1], new_root, 12h - 1s), "");
  EXPECT_NE(error_of(chains[1], old_root, 12h - 1s), "");
  EXPECT_EQ(error_of(authority->chains(before).front(), old_root, 12h - 1s), "");
}

TEST_F(AuthorityTest, ARootIsReplacedInTimeByItself) {
  const auto authority = start({});
  const std::string old_root = authority->roots_pem();
  clock.advance(std::chrono::days(2920) + 1s);
  const IssuedCertificate leaf = sign(*authority, "a.test");
  EXPECT_TRUE(authority->roots_pem().ends_with(old_root));
  EXPECT_NE(authority->roots_pem(), old_root);
  EXPECT_EQ(error_of(authority->chains(leaf).front(), old_root, 12h - 1s), "");
}

TEST_F(AuthorityTest, AfterYearsOfSleepEverythingIsNew) {
  start({});
  clock.advance(std::chrono::days(4000));
  const auto authority = start({});
  const IssuedCertificate leaf = sign(*authority, "a.test");
  const auto chains = authority->chains(leaf);
  ASSERT_EQ(chains.size(), 1U);
  EXPECT_EQ(error_of(chains[0], authority->roots_pem(), 12h - 1s), "");
}

TEST_F(AuthorityTest, WhatAClockThatRanAheadHasMadeDoesNotSignBeforeItsTime) {
  const auto authority = start({});
  const IssuedCertificate before = sign(*authority, "a.test");
  const std::string roots = authority->roots_pem();
  clock.set_wall_forward(std::chrono::days(6));
  const IssuedCertificate ahead = sign(*authority, "a.test");
  EXPECT_NE(ahead.signer, before.signer);
  clock.set_wall_forward(-std::chrono::days(6));
  const IssuedCertificate after = sign(*authority, "a.test");
  EXPECT_EQ(after.signer, before.signer);
  EXPECT_EQ(error_of(authority->chains(after).front(), roots), "");
  // A root of the future is not served either.
  clock.set_wall_forward(std::chrono::days(3000));
  sign(*authority, "a.test");
  clock.set_wall_forward(-std::chrono::days(3000));
  EXPECT_EQ(error_of(authority->chains(sign(*authority, "a.test")).front(), roots), "");
}

TEST_F(AuthorityTest, AClockThatJumpsDeletesNothing) {
  const auto authority = start({});
  const IssuedCertificate row = sign(*authority, "a.test");
  ASSERT_TRUE(outcome_of(store.put_issued(row, std::nullopt)));
  clock.set_wall_forward(std::chrono::days(4000));
  clock.advance(1h);
  EXPECT_EQ(store.issued.size(), 1U);
  clock.set_wall_forward(-std::chrono::days(4000));
  clock.advance(2h);
  EXPECT_EQ(error_of(authority->chains(row).front(), authority->roots_pem()), "");
  clock.advance(std::chrono::days(8));
  EXPECT_EQ(store.issued.size(), 0U) << "and in its time it goes";
}

TEST_F(AuthorityTest, WithoutAnybodyWhoSignsItIsReplacedInTimeAllTheSame) {
  const auto authority = start({});
  const int64_t first = active(*authority).front().id;
  clock.advance(std::chrono::days(6));
  EXPECT_NE(active(*authority).front().id, first);
  authority->stop();
  EXPECT_EQ(clock.pending(), 0U);
}

TEST_F(AuthorityTest, LongerLeavesBringANewIntermediateAtOnce) {
  { sign(*start({}), "a.test"); }
  clock.advance(std::chrono::days(5));
  Lifetimes longer;
  longer.intermediate = std::chrono::days(30);
  longer.leaf = std::chrono::days(5);
  const auto authority = start(longer);
  const IssuedCertificate leaf = sign(*authority, "a.test");
  EXPECT_EQ(
      error_of(authority->chains(leaf).front(), authority->roots_pem(), std::chrono::days(5) - 1s),
      "");
}

TEST_F(AuthorityTest, ARotationThatFailsStopsNothingWhileTheOldIntermediateCan) {
  const auto authority = start({});
  const int64_t signer = sign(*authority, "a.test").signer;
  store.full = Error{ErrorCode::kIo, "the disk is full"};
  clock.advance(active(*authority).front().replace_at - clock.wall_now() + 1h);
  EXPECT_EQ(sign(*authority, "a.test").signer, signer);
  clock.advance(22h);
  const auto late = outcome_of(authority->sign(request("a.test")));
  ASSERT_FALSE(late) << "it would outlive its signer";
  EXPECT_NE(late.error().message.find("authority_rotation_failed"), std::string::npos);
  store.full.reset();
  EXPECT_NE(sign(*authority, "a.test").signer, signer);
}

TEST_F(AuthorityTest, ACrlNamesWhatIsRevokedAndNothingElse) {
  const auto authority = start({}, true, kStatusUrl);
  const IssuedCertificate good = sign(*authority, "a.test");
  const IssuedCertificate bad = sign(*authority, "b.test");
  ASSERT_TRUE(outcome_of(store.put_issued(good, std::nullopt)));
  ASSERT_TRUE(outcome_of(store.put_issued(bad, std::nullopt)));
  const std::string empty = *outcome_of(authority->crl(good.signer));
  EXPECT_TRUE(*outcome_of(authority->revoke(bad.serial, 1)));
  EXPECT_FALSE(*outcome_of(authority->revoke(bad.serial, 1))) << "is revoked already";
  EXPECT_FALSE(*outcome_of(authority->revoke("00", 1)));
  const std::string crl = *outcome_of(authority->crl(good.signer));
  EXPECT_NE(crl, empty) << "at once, whatever the first one says of its end";
  EXPECT_EQ(*outcome_of(authority->crl(good.signer)), crl);
  EXPECT_FALSE(outcome_of(authority->crl(99)));
}

TEST_F(AuthorityTest, ARevocationThatNobodyWaitsForIsOnTheNextCrl) {
  const auto authority = start({}, true, kStatusUrl);
  const IssuedCertificate row = sign(*authority, "a.test");
  ASSERT_TRUE(outcome_of(store.put_issued(row, std::nullopt)));
  const std::string before = *outcome_of(authority->crl(row.signer));
  store.hold_writes = true;
  {
    Task<bool> revoking = authority->revoke(row.serial, 1);
    revoking.start();
  }
  EXPECT_EQ(*outcome_of(authority->crl(row.signer)), before);
  store.release();
  EXPECT_NE(*outcome_of(authority->crl(row.signer)), before);
}

TEST_F(AuthorityTest, ACrlThatIsMadeDuringARevocationIsMadeAgain) {
  const auto authority = start({}, true, kStatusUrl);
  const IssuedCertificate row = sign(*authority, "a.test");
  ASSERT_TRUE(outcome_of(store.put_issued(row, std::nullopt)));
  store.hold_reads = true;
  Task<std::string> early = authority->crl(row.signer);
  early.start();
  ASSERT_TRUE(*outcome_of(authority->revoke(row.serial, 1)));
  Task<std::string> late = authority->crl(row.signer);
  late.start();
  while (store.held() != 0) store.release(1);
  ASSERT_TRUE(early.done());
  ASSERT_TRUE(late.done());
  store.hold_reads = false;
  EXPECT_EQ(*outcome_of(authority->crl(row.signer)), *late.outcome()) << "is the one with it";
}

TEST_F(AuthorityTest, OcspAnswersPleaseOurOwnJudge) {
  const auto authority = start({}, true, kStatusUrl);
  const IssuedCertificate row = sign(*authority, "a.test");
  const CertificatePtr leaf = certificate(*authority, row);
  EXPECT_EQ(leaf->ocsp_responder(), std::string(kStatusUrl) + "/ocsp");
  const std::string question = *make_ocsp_request(*leaf);
  const auto ask = [&] {
    const std::string der = *outcome_of(authority->ocsp(question));
    return judge_ocsp_response(der, *leaf, clock.wall_now());
  };
  EXPECT_EQ(ask()->status, CertStatus::kUnknown) << "a serial that was never issued";
  ASSERT_TRUE(outcome_of(store.put_issued(row, std::nullopt)));
  EXPECT_EQ(ask()->status, CertStatus::kGood);
  ASSERT_TRUE(*outcome_of(authority->revoke(row.serial, 1)));
  const auto answer = ask();
  EXPECT_EQ(answer->status, CertStatus::kRevoked);
  EXPECT_EQ(answer->reason, "keyCompromise");
  EXPECT_EQ(answer->revoked_at, clock.wall_now());
  // An intermediate that signs no more answers for its leaves.
  ASSERT_TRUE(outcome_of(authority->rotate(false)));
  EXPECT_EQ(ask()->status, CertStatus::kRevoked);
}

TEST_F(AuthorityTest, OcspRefusesWhatItCannotAnswer) {
  const auto authority = start({});
  EXPECT_EQ(*outcome_of(authority->ocsp("")), make_ocsp_error(OcspError::kMalformed));
  EXPECT_EQ(*outcome_of(authority->ocsp("nonsense")), make_ocsp_error(OcspError::kMalformed));
  // Another authority's leaf.
  FakeAuthorityStore other_store;
  Authority other(AuthorityOptions{.name = "other"}, other_store, clock, log);
  const Chain chain = *outcome_of(other.issue(request("a.test")));
  const std::string question = *make_ocsp_request(**Certificate::from_der(chain, leaf_key));
  EXPECT_EQ(*outcome_of(authority->ocsp(question)), make_ocsp_error(OcspError::kUnauthorized));
  const auto row = other_store.issued.begin()->second;
  store.broken = Error{ErrorCode::kIo, "gone"};
  ASSERT_TRUE(outcome_of(other.keep()));
  EXPECT_EQ(*outcome_of(authority->ocsp(question)), make_ocsp_error(OcspError::kUnauthorized));
}

TEST_F(AuthorityTest, SerialsAreLongRandomAndDifferent) {
  const auto authority = start({});
  std::set<std::string> serials;
  for (int i = 0; i < 50; ++i) {
    const std::string serial = sign(*authority, "a.test").serial;
    EXPECT_EQ(serial.size(), 32U);
    serials.insert(serial);
  }
  EXPECT_EQ(serials.size(), 50U);
}

TEST_F(AuthorityTest, RenewalIsAdvisedWellBeforeTheEndAndAtOnceWhenRevoked) {
  const auto authority = start({});
  IssuedCertificate row = sign(*authority, "a.test");
  const auto window = authority->renewal_window(row);
  EXPECT_LT(clock.wall_now(), window.start);
  EXPECT_LT(window.start, window.end);
  EXPECT_LT(window.end, row.not_after - 3h);
  row.revoked_at = clock.wall_now();
  EXPECT_LE(authority->renewal_window(row).end, clock.wall_now());
}

TEST_F(AuthorityTest, AddressesWildcardsAndSeveralNamesAreCertified) {
  const auto authority = start({});
  LeafRequest many = request("a.test");
  many.names.push_back(*ServerName::parse_wildcard("*.b.test"));
  many.names.push_back(*ServerName::parse_ip("192.0.2.7"));
  many.names.push_back(*ServerName::parse_ip("2001:db8::1"));
  const auto leaf = *Certificate::from_der(*outcome_of(authority->issue(many)), leaf_key);
  EXPECT_EQ(leaf->names(),
            (std::vector<std::string>{"a.test", "*.b.test", "192.0.2.7", "2001:db8::1"}));
  many.names.clear();
  EXPECT_FALSE(outcome_of(authority->issue(many)));
}

TEST_F(AuthorityTest, OnlySoundKeysAreCertified) {
  EXPECT_TRUE(check_public_key(public_key));
  EXPECT_TRUE(check_public_key(public_key_to_der(generate_p384_key())));
  EXPECT_TRUE(check_public_key(public_key_to_der(generate_rsa2048_key())));
  EXPECT_FALSE(check_public_key(""));
  EXPECT_FALSE(check_public_key(public_key + "x"));
  EXPECT_FALSE(check_public_key(public_key.substr(0, 40)));
}

}  // namespace
}  // namespace latchkey::acme
