#include "edge/import/convert.h"

#include <gtest/gtest.h>

#include "edge/import/jwk.h"
#include "tests/edge/import/trees.h"

namespace latchkey::edge {
namespace {

using std::chrono::hours;

const TestCa& ca() {
  static const TestCa one;
  return one;
}

ImportEntry entry_of(const Pair& pair) {
  ImportEntry entry;
  entry.path = "here";
  entry.chain_pem = pair.chain;
  entry.key_pem = pair.key;
  entry.directory = kDirectory;
  entry.account = kAccountUrl;
  return entry;
}

ImportEntry entry_for(const TestCa::Names& names) {
  return entry_of(make_pair_of(ca(), names));
}

ImportEntry entry_from(WallTime begin, WallTime end) {
  const PrivateKey key = generate_p256_key();
  return entry_of({ca().issue_pem({"a.test"}, begin, end, key), private_key_pem(key)});
}

std::vector<Config::Issuer> issuers() {
  Config::Issuer first, second;
  first.name = "first";
  first.directory = "https://first.test/dir";
  second.name = "second";
  second.directory = kDirectory;
  return {first, second};
}

JudgedEntry judged(const ImportEntry& entry) {
  auto out = judge_entry(entry, TestCa::now());
  EXPECT_TRUE(std::holds_alternative<JudgedEntry>(out)) << std::get<ImportSkip>(out).why;
  return std::get<JudgedEntry>(std::move(out));
}

ImportSkip refused(const ImportEntry& entry) {
  auto out = judge_entry(entry, TestCa::now());
  EXPECT_TRUE(std::holds_alternative<ImportSkip>(out));
  return std::get<ImportSkip>(std::move(out));
}

class ImportFilingTest : public testing::Test {
 protected:
  ImportedCertificate file(const ImportEntry& entry) {
    auto out = filing_.file(judged(entry), entry, now_, random_);
    EXPECT_TRUE(std::holds_alternative<ImportedCertificate>(out)) << std::get<ImportSkip>(out).why;
    return std::get<ImportedCertificate>(std::move(out));
  }
  RenewalPlan plan(const ImportEntry& entry) { return file(entry).origin.plan.value(); }

  const WallTime now_ = TestCa::now();
  const ImportFiling filing_{issuers(), RenewalRules()};
  std::minstd_rand random_{7};
};

TEST(ImportJudgeTest, AnExactNameIsFiledUnderBeforeWildcardsAndAddresses) {
  EXPECT_EQ(judged(entry_for({"*.a.test", "a.test", "b.test"})).name.text(), "a.test");
  EXPECT_EQ(judged(entry_for({"192.0.2.7", "*.a.test"})).name.text(), "*.a.test");
  EXPECT_EQ(judged(entry_for({"192.0.2.7"})).name.text(), "192.0.2.7");
  EXPECT_EQ(judged(entry_for({"_x.a.test"})).name.text(), "_x.a.test");
  EXPECT_EQ(judged(entry_for({"a..b", "b.test"})).name.text(), "b.test");
}

TEST(ImportJudgeTest, WhatCannotBeServedIsSkipped) {
  const WallTime now = TestCa::now();
  for (const ImportEntry& entry :
       {entry_from(now - hours(48), now - hours(1)), entry_from(now + hours(1), now + hours(48)),
        entry_for({"*.*.test"}), entry_for({"a b"})}) {
    const ImportSkip skip = refused(entry);
    EXPECT_FALSE(skip.damaged) << skip.why;
    EXPECT_EQ(skip.path, "here");
  }
  EXPECT_NE(refused(entry_from(now - hours(48), now - hours(1))).why.find("expired at 20"),
            std::string::npos);
}

TEST(ImportJudgeTest, WhatIsDamagedIsToldWithoutItsSecrets) {
  const Pair pair = make_pair_of(ca(), {"a.test"});
  const Pair other = make_pair_of(ca(), {"a.test"});
  const std::string cut = pair.chain.substr(0, 300);
  for (const Pair& bad : {Pair{cut, pair.key}, Pair{"", pair.key}, Pair{pair.chain, ""},
                          Pair{pair.chain, other.key}, Pair{pair.chain, pair.key.substr(0, 100)},
                          Pair{std::string(5000, '\0'), pair.key}, Pair{pair.key, pair.key}}) {
    const ImportSkip skip = refused(entry_of(bad));
    EXPECT_TRUE(skip.damaged) << skip.why;
    EXPECT_EQ(skip.why.find(pair.key.substr(40, 20)), std::string::npos);
  }
}

TEST(ImportJudgeTest, TheLeafsKeyTellsRsa) {
  EXPECT_TRUE(has_rsa_leaf(make_pair_of(ca(), {"a.test"}, generate_rsa_key()).chain));
  EXPECT_FALSE(has_rsa_leaf(make_pair_of(ca(), {"a.test"}).chain));
  EXPECT_FALSE(has_rsa_leaf("nothing"));
  EXPECT_FALSE(has_rsa_leaf(""));
}

TEST_F(ImportFilingTest, TheIssuerIsFoundByItsDirectory) {
  const ImportedCertificate known = file(entry_for({"a.test"}));
  EXPECT_EQ(known.origin.issuer, "second");
  EXPECT_EQ(known.origin.account, kAccountUrl);
  EXPECT_TRUE(known.origin.visited);
  EXPECT_EQ(known.origin.slot, Slot::kMain);

  ImportEntry stranger = entry_for({"a.test"});
  for (const char* directory : {"https://other.test/dir", ""}) {
    stranger.directory = directory;
    const ImportedCertificate filed = file(stranger);
    EXPECT_EQ(filed.origin.issuer, "imported");
    EXPECT_EQ(filed.origin.account, "");
    EXPECT_EQ(filed.origin.plan->poll_at, RenewalPlan::kNever);
  }
}

TEST_F(ImportFilingTest, AnAccountThatIsNoUrlIsLeftOut) {
  ImportEntry entry = entry_for({"a.test"});
  entry.account = "javascript:1";
  EXPECT_EQ(file(entry).origin.account, "");
}

TEST_F(ImportFilingTest, CertificatesForTestsAreNotTakenUnlessTheirCaIsConfigured) {
  ImportEntry entry = entry_for({"a.test"});
  entry.directory = "https://acme-staging-v02.api.letsencrypt.org/directory";
  auto out = filing_.file(judged(entry), entry, now_, random_);
  ASSERT_TRUE(std::holds_alternative<ImportSkip>(out));
  EXPECT_FALSE(std::get<ImportSkip>(out).damaged);
  Config::Issuer staging;
  staging.name = "staging";
  staging.directory = entry.directory;
  auto taken = ImportFiling({staging}, RenewalRules()).file(judged(entry), entry, now_, random_);
  EXPECT_TRUE(std::holds_alternative<ImportedCertificate>(taken));
}

TEST_F(ImportFilingTest, WithoutAWindowItIsPlannedByItsLifeAndTheCaIsAskedWithinADay) {
  const WallTime begin = now_ - hours(24), end = now_ + hours(24 * 89);
  WallTime first = WallTime::max(), last = WallTime::min();
  for (int i = 0; i < 50; ++i) {
    const RenewalPlan made = plan(entry_from(begin, end));
    EXPECT_EQ(made.renew_at, plan_by_life(begin, end).renew_at);
    EXPECT_GE(made.poll_at, now_);
    EXPECT_LE(made.poll_at, now_ + hours(24));
    EXPECT_EQ(made.look_at, made.poll_at);
    first = std::min(first, made.poll_at);
    last = std::max(last, made.poll_at);
  }
  EXPECT_GT(last - first, hours(12)) << "they come at once";
}

TEST_F(ImportFilingTest, WhatIsDueIsLookedAtWhenItWasDue) {
  const RenewalPlan made = plan(entry_from(now_ - hours(24 * 80), now_ + hours(24 * 10)));
  EXPECT_LT(made.renew_at, now_);
  EXPECT_EQ(made.look_at, made.renew_at);
}

TEST_F(ImportFilingTest, TheWindowAndTheInstantThatWasChosenInItAreKept) {
  ImportEntry entry = entry_from(now_ - hours(24 * 30), now_ + hours(24 * 60));
  entry.window = RenewalWindow{now_ + hours(24 * 20), now_ + hours(24 * 22)};
  for (int i = 0; i < 20; ++i) {
    const RenewalPlan made = plan(entry);
    EXPECT_EQ(made.window, entry.window);
    EXPECT_GE(made.renew_at, entry.window->start);
    EXPECT_LE(made.renew_at, entry.window->end);
  }
  entry.renew_at = now_ + hours(24 * 21);
  EXPECT_EQ(plan(entry).renew_at, entry.renew_at);
  // Outside of it nothing was chosen.
  entry.renew_at = now_ + hours(24 * 40);
  EXPECT_LE(plan(entry).renew_at, entry.window->end);
}

TEST_F(ImportFilingTest, AWindowThatHasPassedIsNow) {
  ImportEntry entry = entry_from(now_ - hours(24 * 30), now_ + hours(24 * 60));
  entry.window = RenewalWindow{now_ - hours(24 * 2), now_ - hours(24)};
  entry.renew_at = now_ - hours(36);
  EXPECT_EQ(plan(entry).renew_at, now_);
}

TEST_F(ImportFilingTest, AWindowThatIsNoneOfTheCertificatesCountsForNothing) {
  const WallTime begin = now_ - hours(24 * 30), end = now_ + hours(24 * 60);
  ImportEntry entry = entry_from(begin, end);
  for (const RenewalWindow& window : {RenewalWindow{end + hours(1), end + hours(2)},
                                      RenewalWindow{begin - hours(2), begin - hours(1)},
                                      RenewalWindow{now_ + hours(2), now_ + hours(1)}}) {
    entry.window = window;
    entry.renew_at = window.start;
    const RenewalPlan made = plan(entry);
    EXPECT_EQ(made.window, std::nullopt);
    EXPECT_EQ(made.renew_at, plan_by_life(begin, end).renew_at);
  }
}

TEST_F(ImportFilingTest, AccountsOfEachKind) {
  for (const PrivateKey& key : {generate_p256_key(), generate_p384_key(), generate_rsa_key()}) {
    for (const std::string& text : {private_key_pem(key), jwk_of(key), "\n " + jwk_of(key)}) {
      const ImportAccount account{"p", "https://CA.test:14000/dir/", kAccountUrl, text, "kid"};
      const Result<AccountRecord> record = filing_.file(account);
      ASSERT_TRUE(record) << record.error().message;
      EXPECT_EQ(record->directory, kDirectory);  // the configuration's spelling
      EXPECT_EQ(record->url, kAccountUrl);
      EXPECT_EQ(record->key_der, private_key_to_der(key));
      EXPECT_EQ(record->eab_kid, "kid");
    }
  }
}

TEST_F(ImportFilingTest, AnAccountsUrlMayBeMissingItsCaMayNot) {
  const std::string key = private_key_pem(generate_p256_key());
  EXPECT_TRUE(filing_.file(ImportAccount{"p", kDirectory, "", key, ""}));
  EXPECT_FALSE(filing_.file(ImportAccount{"p", "", kAccountUrl, key, ""}));
  EXPECT_FALSE(filing_.file(ImportAccount{"p", "ftp://ca.test", kAccountUrl, key, ""}));
  EXPECT_FALSE(filing_.file(ImportAccount{"p", kDirectory, "http://ca.test/x", key, ""}));
}

TEST_F(ImportFilingTest, WhatIsNoAccountsKeyIsRefusedAndNotQuoted) {
  const std::string weak = private_key_pem(generate_rsa_key(1024));
  for (const std::string& text : {std::string("secretsecret"), std::string("{\"kty\":\"secret\"}"),
                                  std::string("{secret"), std::string(), weak}) {
    const auto record = filing_.file(ImportAccount{"p", kDirectory, kAccountUrl, text, ""});
    ASSERT_FALSE(record);
    EXPECT_EQ(record.error().message.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace latchkey::edge
