// The power is cut while machines get certificates from the embedded authority: afterwards no
// account, no certificate and no revocation that somebody was told of is lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <cctype>
#include <mutex>
#include <random>
#include <set>
#include <thread>

#include "tests/support/authority_site.h"
#include "tests/support/openssl_client.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

using acme::AccountKey;
using testing::HasSubstr;

constexpr size_t kMachines = 8;

class AuthorityKillTest : public testing::Test {
 protected:
  AuthorityKillTest() { site.edge.settings.log_level = "info"; }

  // What somebody was told.
  struct Account {
    AccountKey key;
    std::string url;
  };
  struct Given {
    size_t account;
    std::string order, chain;
    CertificatePtr certificate;
    bool revoked = false;
  };

  void start() {
    ASSERT_TRUE(site.edge.start());
    server = site.server();
  }

  // Orders and revokes until the server is gone.
  void work(size_t machine) {
    const AccountKey key = AccountKey::generate();
    AcmeUser user(server, key);
    const auto url = user.sign_up();
    if (!url) return;
    size_t account = 0;
    {
      const std::lock_guard lock(mutex);
      account = accounts.size();
      accounts.push_back({key, *url});
    }
    for (size_t n = 0;; ++n) {
      const std::string name =
          "n" + std::to_string(n) + ".m" + std::to_string(machine) + ".internal.test";
      const auto obtained = user.obtain(name);
      if (!obtained) return;
      const auto certificate = Certificate::from_pem(obtained->chain, user.certificate_key());
      ASSERT_TRUE(certificate) << certificate.error().message;
      size_t mine = 0;
      {
        const std::lock_guard lock(mutex);
        mine = given.size();
        given.push_back({account, obtained->order, obtained->chain, *certificate});
      }
      if (n % 3 != 1) continue;
      if (!user.revoke((*certificate)->chain_der().front(), 4)) return;
      const std::lock_guard lock(mutex);
      given[mine].revoked = true;
    }
  }
  // Until `kill` has ended the edge.
  template <typename Kill>
  void work_until(Kill kill) {
    std::vector<std::thread> machines;
    machines.reserve(kMachines);
    for (size_t i = 0; i < kMachines; ++i) machines.emplace_back([this, i] { work(i); });
    kill();
    for (std::thread& one : machines) one.join();
  }

  std::set<std::string> stored(const std::string& where = "") const {
    const auto rows =
        StoreFile(site.database()).query("SELECT serial FROM issued_certificate " + where);
    std::set<std::string> serials(rows.begin(), rows.end());
    EXPECT_EQ(serials.size(), rows.size()) << "a serial was issued twice";
    return serials;
  }
  // Of all signers, as text.
  std::string revocation_lists() {
    std::string text;
    for (const std::string& signer :
         StoreFile(site.database()).query("SELECT DISTINCT signer FROM issued_certificate")) {
      const HttpAnswer answer =
          site.plain_get(AuthoritySite::kHost, AuthoritySite::kPath + ("/crl/" + signer));
      EXPECT_EQ(answer.status, 200) << answer.body;
      write_text(site.folder / "crl.der", answer.body);
      text += openssl(site.folder.path(), {"crl", "-inform", "DER", "-noout", "-text", "-in",
                                           (site.folder / "crl.der").string()})
                  .output;
    }
    return text;
  }
  static std::string in_list(const Given& one) {
    std::string serial = one.certificate->serial();
    for (char& c : serial) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return "Serial Number: " + serial + "\n";
  }
  std::string ocsp_status(const Given& one) {
    const size_t issuer = one.chain.find("-----BEGIN", 1);
    write_text(site.folder / "leaf.pem", one.chain.substr(0, issuer));
    write_text(site.folder / "issuer.pem", one.chain.substr(issuer));
    write_text(site.folder / "roots.pem", server.roots);
    return openssl(site.folder.path(), {"ocsp", "-issuer", (site.folder / "issuer.pem").string(),
                                        "-cert", (site.folder / "leaf.pem").string(), "-CAfile",
                                        (site.folder / "roots.pem").string(), "-header",
                                        std::string("Host=") + AuthoritySite::kHost, "-url",
                                        "http://127.0.0.1:" + std::to_string(site.http.number()) +
                                            AuthoritySite::kPath + "/ocsp"})
        .output;
  }

  // All that was told holds.
  void expect_kept() {
    EXPECT_TRUE(StoreFile(site.database()).sound());
    for (const Account& one : accounts) {
      AcmeUser user(server, one.key);
      const auto url = user.sign_up();
      ASSERT_TRUE(url.has_value()) << url.error().message;
      EXPECT_EQ(*url, one.url) << "an account was lost";
    }
    const std::set<std::string> serials = stored();
    const std::set<std::string> revoked = stored("WHERE revoked_at IS NOT NULL");
    const std::string lists = revocation_lists();
    for (const Given& one : given) {
      EXPECT_TRUE(serials.contains(one.certificate->serial())) << "a certificate was lost";
      if (!one.revoked) continue;
      EXPECT_TRUE(revoked.contains(one.certificate->serial())) << "a revocation was lost";
      EXPECT_THAT(lists, HasSubstr(in_list(one)));
    }
    for (size_t i = given.size() - std::min<size_t>(given.size(), 6); i < given.size(); ++i) {
      const Given& one = given[i];
      AcmeUser user(server, accounts[one.account].key);
      ASSERT_TRUE(user.sign_up());
      const auto order = user.post(one.order);
      ASSERT_TRUE(order.has_value()) << order.error().message;
      const auto json = parse_json(order->body);
      EXPECT_EQ(json->text_of("status"), "valid") << order->body;
      const auto chain = user.post(std::string(json->text_of("certificate")));
      ASSERT_TRUE(chain.has_value()) << chain.error().message;
      EXPECT_EQ(chain->body, one.chain);
      // One may have been revoked whose machine was not told any more.
      const bool now_revoked = revoked.contains(one.certificate->serial());
      EXPECT_THAT(ocsp_status(one), HasSubstr(now_revoked ? ": revoked" : ": good"));
    }
  }
  // What has not been revoked still can be.
  void expect_revocable() {
    for (Given& one : given) {
      if (one.revoked) continue;
      AcmeUser user(server, accounts[one.account].key);
      ASSERT_TRUE(user.sign_up());
      const auto done = user.revoke(one.certificate->chain_der().front(), 1);
      if (!done) {
        EXPECT_THAT(done.error().message, HasSubstr("alreadyRevoked"));
      }
      one.revoked = true;
    }
    const std::string lists = revocation_lists();
    for (const Given& one : given) EXPECT_THAT(lists, HasSubstr(in_list(one)));
  }

  AuthoritySite site;
  AcmeUser::Server server;  // since the last start
  std::mutex mutex;
  std::vector<Account> accounts;  // guarded by mutex while machines work
  std::vector<Given> given;       // likewise
};

TEST_F(AuthorityKillTest, AtAnyMomentNothingThatWasToldIsLost) {
  std::mt19937 random(7);
  start();
  constexpr int kKills = 12;
  for (int i = 0; i < kKills; ++i) {
    work_until([&] {
      std::this_thread::sleep_for(Millis(20 + random() % 600));
      site.edge.kill_hard();
    });
    start();
    expect_kept();
    if (HasFatalFailure()) return;
  }
  EXPECT_GT(given.size(), 10u);
  expect_revocable();
  std::printf("%d kills; %zu accounts, %zu certificates: all are there\n", kKills, accounts.size(),
              given.size());
}

// Before a transaction's commit, behind it, and once its writers were told.
TEST_F(AuthorityKillTest, AroundAnyCommitNothingThatWasToldIsLost) {
  start();
  ASSERT_TRUE(site.edge.terminate());
  for (const char* point : {"group.written", "group.committed", "group.told"}) {
    for (const int passes : {0, 1, 2, 3, 5, 9, 17, 40}) {
      SCOPED_TRACE(std::string(point) + " after " + std::to_string(passes));
      site.edge.settings.env = {{"LATCHKEY_FAULT_POINT", point},
                                {"LATCHKEY_FAULT_AFTER", std::to_string(passes)}};
      start();
      work_until([&] {
        const auto exit = site.edge.expect_end();
        ASSERT_TRUE(exit) << "nothing passes here";
        EXPECT_EQ(exit->signal, SIGKILL);
      });
      site.edge.settings.env = {};
      start();
      expect_kept();
      if (HasFatalFailure()) return;
      ASSERT_TRUE(site.edge.terminate());
    }
  }
  start();
  expect_revocable();
}

}  // namespace
}  // namespace latchkey::test
