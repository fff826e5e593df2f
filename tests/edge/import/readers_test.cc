#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "edge/import/files.h"
#include "tests/edge/import/trees.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

class ImportReadersTest : public testing::Test {
 protected:
  const TestCa ca_;
  test::TempFolder folder_;
  const fs::path root_ = folder_.path();
  const PrivateKey account_key_ = generate_p256_key();
};

TEST_F(ImportReadersTest, CertbotsFolder) {
  const Pair pair = make_pair_of(ca_, {"a.test", "www.a.test"});
  add_lineage(root_, "a.test", pair);
  add_certbot_account(root_, account_key_);
  EXPECT_EQ(recognise_format(root_), ImportFormat::kCertbot);
  for (const fs::path& path : {root_, root_ / "live", root_ / "live/"}) {
    const ImportFindings found = read_tree({path});
    ASSERT_EQ(found.entries.size(), 1u) << path;
    const ImportEntry& entry = found.entries[0];
    EXPECT_EQ(fs::path(entry.path).filename(), "a.test");
    EXPECT_EQ(entry.chain_pem, pair.chain);
    EXPECT_EQ(entry.key_pem, pair.key);
    EXPECT_EQ(entry.directory, kDirectory);
    EXPECT_EQ(entry.account, kAccountUrl);
    ASSERT_EQ(found.accounts.size(), 1u);
    EXPECT_EQ(found.accounts[0].directory, kDirectory);
    EXPECT_EQ(found.accounts[0].url, kAccountUrl);
    EXPECT_EQ(found.accounts[0].key_pem, jwk_of(account_key_));
    EXPECT_TRUE(found.skips.empty());
  }
}

TEST_F(ImportReadersTest, ALiveFolderAloneHasCertificatesWithoutTheirCa) {
  write_file(root_ / "live/a.test/fullchain.pem", "chain");
  write_file(root_ / "live/a.test/privkey.pem", "key");
  const ImportFindings found = read_tree({root_ / "live"}, ImportFormat::kCertbot);
  ASSERT_EQ(found.entries.size(), 1u);
  EXPECT_EQ(found.entries[0].directory, "");
  EXPECT_EQ(found.entries[0].account, "");
}

TEST_F(ImportReadersTest, CertbotsLinksWithoutTheirArchiveAreDamage) {
  add_lineage(root_, "a.test", make_pair_of(ca_, {"a.test"}));
  fs::remove_all(root_ / "archive");
  const ImportFindings found = read_tree({root_});
  ASSERT_EQ(found.skips.size(), 1u);
  EXPECT_TRUE(found.skips[0].damaged);
  EXPECT_THAT(found.skips[0].why, testing::HasSubstr("archive/ belongs to live/"));
}

TEST_F(ImportReadersTest, WhatIsDamagedInCertbotsFolderIsTold) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  for (const char* name : {"dangling", "large", "loop", "nokey", "empty", "whole"}) {
    add_lineage(root_, name, pair);
  }
  fs::remove(root_ / "archive/dangling/fullchain1.pem");
  write_file(root_ / "archive/large/privkey1.pem", std::string(kMaxImportFile + 1, 'x'));
  fs::remove(root_ / "live/loop/privkey.pem");
  fs::create_symlink("privkey.pem", root_ / "live/loop/privkey.pem");
  fs::remove(root_ / "live/nokey/privkey.pem");
  fs::remove(root_ / "live/empty/privkey.pem");
  fs::remove(root_ / "live/empty/fullchain.pem");
  fs::remove(root_ / "renewal/whole.conf");
  fs::create_directory_symlink("..", root_ / "live/up");
  fs::create_directory_symlink("self", root_ / "live/self");
  add_certbot_account(root_, account_key_);
  write_file(certbot_account_folder(root_) / "regr.json", "{");
  fs::create_directory_symlink("..", root_ / "accounts/again");

  const ImportFindings found = read_tree({root_});
  ASSERT_EQ(found.entries.size(), 1u);
  EXPECT_EQ(fs::path(found.entries[0].path).filename(), "whole");
  EXPECT_TRUE(found.accounts.empty());
  std::vector<std::string> told;
  for (const ImportSkip& skip : found.skips) {
    const std::string name = fs::path(skip.path).filename().string();
    if (skip.path.find("accounts/again") != std::string::npos) continue;  // as often as links allow
    told.push_back(name + (skip.damaged ? "! " : "? ") + skip.why);
  }
  EXPECT_EQ(told,
            (std::vector<std::string>{"0123abcd! regr.json: is no JSON object",
                                      "dangling! fullchain.pem: No such file or directory",
                                      "empty? there is neither fullchain.pem nor privkey.pem in it",
                                      "large! privkey.pem: is longer than 65536 bytes",
                                      "loop! privkey.pem: Too many levels of symbolic links",
                                      "nokey! privkey.pem: No such file or directory",
                                      "up? there is neither fullchain.pem nor privkey.pem in it"}));
}

TEST_F(ImportReadersTest, AFifoInAFolderHoldsNobodyUp) {
  write_file(root_ / "live/a.test/fullchain.pem", "chain");
  ASSERT_EQ(::mkfifo((root_ / "live/a.test/privkey.pem").c_str(), 0600), 0);
  const ImportFindings found = read_tree({root_ / "live"}, ImportFormat::kCertbot);
  ASSERT_EQ(found.skips.size(), 1u);
  EXPECT_EQ(found.skips[0].why, "privkey.pem: is no regular file");
}

TEST_F(ImportReadersTest, CaddysFolderOfToday) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  add_caddy_site(root_, "a.test", pair,
                 R"({"url": "https://ca.test:14000/cert/1", "ca": "https://ca.test:14000/dir",
                     "account": "https://ca.test:14000/my-account/7", "renewal_info": {
                     "suggestedWindow": {"start": "2026-03-01T00:00:00Z",
                                         "end": "2026-03-03T00:00:00.5Z"},
                     "_uniqueIdentifier": "a.b", "_retryAfter": "2026-01-01T00:00:00Z",
                     "_selectedTime": "2026-03-02T12:00:00Z"}})");
  EXPECT_EQ(recognise_format(root_), ImportFormat::kCaddy);
  const ImportFindings found = read_tree({root_});
  ASSERT_EQ(found.entries.size(), 1u);
  const ImportEntry& entry = found.entries[0];
  EXPECT_EQ(entry.directory, kDirectory);
  EXPECT_EQ(entry.account, "https://ca.test:14000/my-account/7");
  const WallTime day{std::chrono::seconds(1'772'323'200)};  // 2026-03-01
  ASSERT_TRUE(entry.window);
  EXPECT_EQ(entry.window->start, day);
  EXPECT_EQ(entry.window->end, day + std::chrono::hours(48));
  EXPECT_EQ(entry.renew_at, day + std::chrono::hours(36));
}

TEST_F(ImportReadersTest, CaddysFolderOfDebian12) {
  const Pair pair = make_pair_of(ca_, {"*.a.test"});
  add_caddy_site(root_ / "caddy", "wildcard_.a.test", pair,
                 R"({"url": "https://ca.test:14000/cert/1"})");
  add_caddy_account(root_ / "caddy", account_key_);
  for (const fs::path& path : {root_, root_ / "caddy", root_ / "caddy/certificates"}) {
    const ImportFindings found = read_tree({path});
    ASSERT_EQ(found.entries.size(), 1u) << path;
    EXPECT_EQ(found.entries[0].directory, kDirectory);
    EXPECT_EQ(found.entries[0].account, kAccountUrl);
    EXPECT_FALSE(found.entries[0].window);
    ASSERT_EQ(found.accounts.size(), 1u);
    EXPECT_EQ(found.accounts[0].directory, kDirectory);
    EXPECT_EQ(found.accounts[0].url, kAccountUrl);
    EXPECT_EQ(found.accounts[0].key_pem, private_key_pem(account_key_));
  }
}

TEST_F(ImportReadersTest, OfTwoAccountsOfCaddysNeitherIsACertificatesByItself) {
  add_caddy_site(root_, "a.test", make_pair_of(ca_, {"a.test"}),
                 R"({"url": "https://ca.test:14000/cert/1"})");
  add_caddy_account(root_, account_key_);
  add_caddy_account(root_, generate_p256_key(), "https://ca.test:14000/my-account/2", "p@a.test");
  const ImportFindings found = read_tree({root_});
  ASSERT_EQ(found.entries.size(), 1u);
  EXPECT_EQ(found.entries[0].account, "");
  EXPECT_EQ(found.accounts.size(), 2u);
}

TEST_F(ImportReadersTest, OddNotesOfCaddysDoNotSpoilACertificate) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  int i = 0;
  for (const char* data :
       {"7", "[]", "null", R"({"url": 5, "ca": {}, "renewal_info": 3})",
        R"({"renewal_info": {"suggestedWindow": {"start": "x", "end": "2026-03-03T00:00:00Z"}}})",
        R"({"renewal_info": {"suggestedWindow": {"start": "2026-03-03T00:00:00Z",
                                                 "end": "2026-03-01T00:00:00Z"}}})",
        R"({"renewal_info": {"suggestedWindow": {"start": "0001-01-01T00:00:00Z",
                                                 "end": "0001-01-01T00:00:00Z"},
                             "_selectedTime": "0001-01-01T00:00:00Z"}})"}) {
    add_caddy_site(root_, "n" + std::to_string(i++) + ".test", pair, data);
  }
  write_file(caddy_folder(root_, "bad.test") / "bad.test.crt", pair.chain);
  write_file(caddy_folder(root_, "bad.test") / "bad.test.key", pair.key);
  write_file(caddy_folder(root_, "bad.test") / "bad.test.json", "\xff");
  const ImportFindings found = read_tree({root_});
  EXPECT_EQ(found.entries.size(), 8u);
  for (const ImportEntry& entry : found.entries) {
    EXPECT_FALSE(entry.window) << entry.path;
    EXPECT_FALSE(entry.renew_at) << entry.path;
  }
  EXPECT_TRUE(found.skips.empty());
}

TEST_F(ImportReadersTest, WhatIsDamagedInCaddysFolderIsTold) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  for (const char* name : {"empty.test", "nokey.test", "whole.test"}) {
    add_caddy_site(root_, name, pair, "{}");
  }
  fs::remove(caddy_folder(root_, "nokey.test") / "nokey.test.key");
  fs::remove(caddy_folder(root_, "empty.test") / "empty.test.key");
  fs::remove(caddy_folder(root_, "empty.test") / "empty.test.crt");
  write_file(caddy_folder(root_, "stray.txt").parent_path() / "stray.txt", "");
  add_caddy_account(root_, account_key_);
  write_file(root_ / "acme" / kCaddyKey / "users/o@a.test/o.json", "[]");
  fs::create_directories(root_ / "acme" / kCaddyKey / "users/nobody");
  fs::create_directories(root_ / "acme" / kCaddyKey / "challenge_tokens");
  const ImportFindings found = read_tree({root_});
  EXPECT_EQ(found.entries.size(), 1u);
  EXPECT_TRUE(found.accounts.empty());
  std::vector<std::string> told;
  for (const ImportSkip& skip : found.skips) {
    told.push_back(fs::path(skip.path).filename().string() + (skip.damaged ? "! " : "? ") +
                   skip.why);
  }
  EXPECT_EQ(told, (std::vector<std::string>{
                      "nobody? there is no account's .json with its .key in it",
                      "o@a.test! o.json: is no JSON object",
                      "empty.test? there is neither a .crt nor a .key of that name in it",
                      "nokey.test! nokey.test.key: No such file or directory"}));
}

TEST_F(ImportReadersTest, AcmeShsFolder) {
  const Pair ecdsa = make_pair_of(ca_, {"a.test"});
  const Pair rsa = make_pair_of(ca_, {"a.test"}, generate_rsa_key());
  add_acme_sh_name(root_, "a.test", rsa, false);
  add_acme_sh_name(root_, "a.test", ecdsa, true);
  add_acme_sh_name(root_, "*.b.test", ecdsa, true);
  add_acme_sh_account(root_, account_key_);
  write_file(root_ / "dnsapi/dns_x.sh", "#!/bin/sh\n");
  write_file(root_ / "waiting.test/waiting.test.conf", "Le_Domain='waiting.test'\n");
  write_file(root_ / "cut.test/cut.test.conf", "Le_Domain='cut.test'\n");
  write_file(root_ / "cut.test/cut.test.cer", "...");
  EXPECT_EQ(recognise_format(root_), ImportFormat::kAcmeSh);
  const ImportFindings found = read_tree({root_});
  ASSERT_EQ(found.entries.size(), 3u);
  for (const ImportEntry& entry : found.entries) {
    EXPECT_EQ(entry.directory, kDirectory) << entry.path;
    EXPECT_EQ(entry.account, kAccountUrl) << entry.path;
  }
  EXPECT_EQ(found.entries[1].key_pem, rsa.key);
  EXPECT_EQ(found.entries[2].key_pem, ecdsa.key);
  ASSERT_EQ(found.accounts.size(), 1u);
  EXPECT_EQ(found.accounts[0].directory, kDirectory);
  EXPECT_EQ(found.accounts[0].url, kAccountUrl);
  EXPECT_EQ(found.accounts[0].eab_kid, "kid-1");
  ASSERT_EQ(found.skips.size(), 2u);
  EXPECT_TRUE(found.skips[0].damaged);
  EXPECT_EQ(found.skips[0].why, "fullchain.cer: No such file or directory");
  EXPECT_FALSE(found.skips[1].damaged);
}

TEST_F(ImportReadersTest, AFolderOfAcmeShsCertificatesAlone) {
  add_acme_sh_name(root_, "a.test", make_pair_of(ca_, {"a.test"}), true);
  EXPECT_EQ(recognise_format(root_), ImportFormat::kAcmeSh);
  EXPECT_EQ(read_tree({root_}).entries.size(), 1u);
}

TEST_F(ImportReadersTest, PemInFiles) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  const Pair other = make_pair_of(ca_, {"b.test"});
  write_file(root_ / "a.crt", pair.chain);
  write_file(root_ / "a.key", pair.key);
  write_file(root_ / "both.pem", pair.key + pair.chain);
  write_file(root_ / "dev.pem", pair.chain);
  write_file(root_ / "dev-key.pem", pair.key);
  write_file(root_ / "sub/fullchain.pem", pair.chain);
  write_file(root_ / "sub/cert.pem", pair.chain.substr(0, pair.chain.find("END CERT") + 30));
  write_file(root_ / "sub/privkey.pem", pair.key);
  write_file(root_ / "leaf/cert.pem", "LEAF\n" + other.chain);
  write_file(root_ / "leaf/chain.pem", "CHAIN\n");
  write_file(root_ / "leaf/key.pem", other.key);
  write_file(root_ / "sub/deep/x.crt", pair.chain);
  write_file(root_ / "dhparam.pem", "-----BEGIN DH PARAMETERS-----\n");
  write_file(root_ / "roots.crt", pair.chain);
  write_file(root_ / "noise.pem", "nothing");
  write_file(root_ / "notes.txt", "nothing");
  EXPECT_EQ(recognise_format(root_), ImportFormat::kPem);
  const ImportFindings found = read_tree({root_});
  std::vector<std::string> taken, told;
  for (const ImportEntry& entry : found.entries) {
    taken.push_back(fs::relative(entry.path, root_).string());
    EXPECT_NE(entry.key_pem.find("PRIVATE KEY"), std::string::npos);
  }
  EXPECT_EQ(taken, (std::vector<std::string>{"a.crt", "both.pem", "dev.pem", "leaf/cert.pem",
                                             "sub/fullchain.pem"}));
  EXPECT_TRUE(found.entries[3].chain_pem.ends_with("CHAIN\n"));
  for (const ImportSkip& skip : found.skips) {
    told.push_back(fs::relative(skip.path, root_).string() + (skip.damaged ? "! " : "? ") +
                   skip.why);
  }
  EXPECT_EQ(told, (std::vector<std::string>{"dhparam.pem? there is no certificate in it",
                                            "noise.pem! there is no PEM in it",
                                            "roots.crt? no private key is in it, or beside it"}));
}

TEST_F(ImportReadersTest, FilesThatAreNamedOneByOneFindTheirKeys) {
  const Pair a = make_pair_of(ca_, {"a.test"}), b = make_pair_of(ca_, {"b.test"});
  const fs::path a_chain = root_ / "one", a_key = root_ / "two", b_chain = root_ / "three",
                 b_key = root_ / "four";
  write_file(a_chain, a.chain);
  write_file(a_key, a.key);
  write_file(b_chain, b.chain);
  write_file(b_key, b.key);
  const ImportFindings found = read_tree({a_key, b_key, a_chain, b_chain});
  ASSERT_EQ(found.entries.size(), 2u);
  EXPECT_EQ(found.entries[0].key_pem, a.key);
  EXPECT_EQ(found.entries[1].key_pem, b.key);

  // A pair that does not fit is handed on, to be complained about.
  const ImportFindings wrong = read_tree({a_chain, b_key});
  ASSERT_EQ(wrong.entries.size(), 1u);
  EXPECT_EQ(wrong.entries[0].key_pem, b.key);
  const ImportFindings alone = read_tree({a_key});
  ASSERT_EQ(alone.skips.size(), 1u);
  EXPECT_EQ(alone.skips[0].why, "a private key without a certificate");
  const ImportFindings missing = read_tree({root_ / "nowhere"});
  ASSERT_EQ(missing.skips.size(), 1u);
  EXPECT_TRUE(missing.skips[0].damaged);
}

TEST_F(ImportReadersTest, AWalkStopsWhenNoMoreIsWanted) {
  const Pair pair = make_pair_of(ca_, {"a.test"});
  for (int i = 0; i < 3; ++i) {
    const std::string name = "n" + std::to_string(i) + ".test";
    add_lineage(root_ / "certbot", name, pair);
    add_caddy_site(root_ / "caddy", name, pair, "{}");
    add_acme_sh_name(root_ / "acme", name, pair, true);
    write_file(root_ / "pem" / (name + ".pem"), pair.chain);
  }
  add_certbot_account(root_ / "certbot", account_key_);
  add_caddy_account(root_ / "caddy", account_key_);
  add_acme_sh_account(root_ / "acme", account_key_);
  for (const char* tree : {"certbot", "caddy", "acme", "pem"}) {
    int seen = 0;
    walk_imports({root_ / tree, root_ / "certbot"}, ImportFormat::kAuto,
                 [&](const ImportPlace&) { return ++seen < 1; });
    EXPECT_EQ(seen, 1) << tree;
  }
}

}  // namespace
}  // namespace latchkey::edge
