// Moving in with what Caddy and certbot have, without one new order.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "base/text.h"
#include "tests/support/ask_site.h"
#include "tests/support/caddy_tree.h"
#include "tests/support/certbot.h"
#include "tests/support/eventually.h"
#include "tests/support/openssl_client.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

using std::chrono::hours;

constexpr Millis kLimit{60'000};

std::string trimmed(std::string serial) {
  return serial.erase(0, std::min(serial.find_first_not_of('0'), serial.size()));
}

// From OpenSSL, as it is in handshakes, without leading zeros.
std::string serial_in(const std::filesystem::path& folder, const std::filesystem::path& file) {
  const auto shown = openssl(folder, {"x509", "-in", file.string(), "-noout", "-serial"});
  std::string text = shown.output.substr(shown.output.find('=') + 1);
  text.erase(std::remove(text.begin(), text.end(), '\n'), text.end());
  return trimmed(lower(text));
}

// certbot and Caddy give up when a CA rejects too many nonces in a row.
Site::Options taking_all_nonces() {
  Site::Options options;
  options.pebble_env = {{"PEBBLE_WFE_NONCEREJECT", "0"}};
  return options;
}

// The programs answer Pebble's challenges on the port that the edge will have.
class ImportTest : public ::testing::Test {
 protected:
  ImportTest() : site_(taking_all_nonces()) { site_.edge.settings.challenges = {"http-01"}; }

  // Caddy gets certificates for its sites, and ends.
  std::filesystem::path run_caddy(const std::vector<std::string>& names) {
    const auto folder = site_.folder / "caddy", data = folder / "data";
    const ReservedPort https(ReservedPort::Hold::kFree);
    const std::string http = std::to_string(site_.http.number());
    std::string sites;
    for (const auto& name : names) sites.append(sites.empty() ? "" : ", ").append(name);
    std::filesystem::create_directories(folder);
    write_text(folder / "Caddyfile",
               "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n"
               "\thttp_port " +
                   http + "\n\thttps_port " + std::to_string(https.number()) +
                   "\n\tstorage file_system " + data.string() + "\n\temail ops@a.test\n}\n" +
                   sites + " {\n\tbind 127.0.0.1\n\ttls {\n\t\tissuer acme {\n\t\t\tdir " +
                   site_.pebble->directory() + "\n\t\t\ttrusted_roots " +
                   site_.pebble->ca_file().string() + "\n\t\t\talt_http_port " + http +
                   "\n\t\t\tdisable_tlsalpn_challenge\n\t\t\temail ops@a.test\n\t\t}\n\t}\n}\n");
    Process::Options options;
    options.args = {"caddy",     "run",      "--config", (folder / "Caddyfile").string(),
                    "--adapter", "caddyfile"};
    options.env = {{"HOME", folder.string()}, {"XDG_CONFIG_HOME", (folder / "config").string()}};
    options.output = folder / "caddy.log";
    options.directory = folder;
    Process caddy(std::move(options));
    EXPECT_TRUE(eventually([&] { return obtained_by(caddy) == names.size(); }, Millis(90'000)))
        << caddy.output();
    caddy.signal(SIGTERM);
    EXPECT_TRUE(caddy.wait(kLimit));
    return data;
  }
  static size_t obtained_by(const Process& caddy) {
    const auto lines = caddy.lines();
    return static_cast<size_t>(std::count_if(lines.begin(), lines.end(), [](const auto& line) {
      return line.find("certificate obtained successfully") != std::string::npos;
    }));
  }

  Handshake visit(const std::string& name) { return site_.connect(name).handshake(); }
  Edge::Outcome import(const std::filesystem::path& folder, std::vector<std::string> more = {}) {
    std::vector<std::string> args{"certs", "import", folder.string()};
    args.insert(args.end(), more.begin(), more.end());
    return site_.edge.command(args, Millis(300'000));
  }
  // Dry run, import, service, renewal; `files`: name -> certificate file.
  void expect_to_move_in(const std::filesystem::path& folder,
                         const std::vector<std::pair<std::string, std::filesystem::path>>& files) {
    const size_t orders = site_.pebble->orders(), accounts = site_.pebble->accounts();
    write_text(site_.edge.config_file(), site_.edge.settings.json());
    const auto dry = import(folder, {"--dry-run"});
    EXPECT_EQ(dry.code, 0) << dry.output;
    EXPECT_FALSE(std::filesystem::exists(site_.database())) << dry.output;
    const auto taken = import(folder);
    ASSERT_EQ(taken.code, 0) << taken.output;
    ASSERT_TRUE(site_.edge.start());
    for (const auto& [name, file] : files) {
      const Handshake handshake = visit(name);
      EXPECT_TRUE(handshake.verified) << name << ": " << handshake.error << "\n" << taken.output;
      EXPECT_EQ(trimmed(handshake.serial), serial_in(site_.folder.path(), file)) << name;
    }
    const auto again = import(folder);
    EXPECT_EQ(again.code, 0);
    EXPECT_NE(again.output.find("already there"), std::string::npos) << again.output;
    EXPECT_EQ(site_.pebble->orders(), orders);

    // Whose account it is stays.
    const auto renewed = site_.edge.admin("POST", "/names/" + files[0].first + ":renew");
    EXPECT_EQ(renewed.status, 200) << renewed.body;
    const Handshake after = visit(files[0].first);
    EXPECT_TRUE(after.verified) << after.error;
    EXPECT_NE(trimmed(after.serial), serial_in(site_.folder.path(), files[0].second));
    EXPECT_EQ(site_.pebble->orders(), orders + 1);
    EXPECT_EQ(site_.pebble->accounts(), accounts) << "a new account was registered";

    ASSERT_TRUE(site_.edge.terminate());
    ASSERT_TRUE(site_.edge.start());
    EXPECT_EQ(visit(files[0].first).serial, after.serial);
    EXPECT_TRUE(visit(files.back().first).verified);
    EXPECT_EQ(site_.pebble->orders(), orders + 1);
  }

  Site site_;
};

TEST_F(ImportTest, CaddysDataFolder) {
  const auto data = run_caddy({"c1.test", "c2.test"});
  std::filesystem::path ca;
  for (const auto& entry : std::filesystem::directory_iterator(data / "certificates")) ca = entry;
  expect_to_move_in(
      data, {{"c1.test", ca / "c1.test/c1.test.crt"}, {"c2.test", ca / "c2.test/c2.test.crt"}});
}

TEST_F(ImportTest, CertbotsFolder) {
  const Certbot certbot(site_.folder / "certbot", site_.pebble->directory(),
                        site_.pebble->ca_file());
  const auto how = Certbot::standalone(site_.http.number());
  const ProgramEnded one = certbot.obtain({"one.test"}, how);
  ASSERT_EQ(one.code, 0) << one.output;
  const ProgramEnded several = certbot.obtain({"several.test", "www.several.test"}, how);
  ASSERT_EQ(several.code, 0) << several.output;
  expect_to_move_in(certbot.config(),
                    {{"one.test", certbot.live() / "one.test/cert.pem"},
                     {"several.test", certbot.live() / "several.test/cert.pem"},
                     {"www.several.test", certbot.live() / "several.test/cert.pem"}});
}

TEST_F(ImportTest, IntoAnEdgeThatRuns) {
  const Certbot certbot(site_.folder / "certbot", site_.pebble->directory(),
                        site_.pebble->ca_file());
  const ProgramEnded one = certbot.obtain({"one.test"}, Certbot::standalone(site_.http.number()));
  ASSERT_EQ(one.code, 0) << one.output;
  ASSERT_TRUE(site_.edge.start());
  const auto dry = import(certbot.config(), {"--dry-run"});
  EXPECT_EQ(dry.code, 0) << dry.output;
  EXPECT_EQ(StoreFile(site_.database()).certificates(), 0u) << dry.output;
  const auto taken = import(certbot.config());
  ASSERT_EQ(taken.code, 0) << taken.output << site_.edge.log();
  const Handshake handshake = visit("one.test");
  EXPECT_TRUE(handshake.verified) << handshake.error;
  EXPECT_EQ(trimmed(handshake.serial),
            serial_in(site_.folder.path(), certbot.live() / "one.test/cert.pem"));
  EXPECT_EQ(site_.pebble->orders(), 1u);
}

// A CA that takes `replaces` only from the account that the certificate was issued to.
TEST(ImportReplacesTest, WhatCertbotHasObtainedIsRenewedByItsOwnAccount) {
  ScriptedCa::Options options;
  options.renewal_info = true;
  options.checks_replaces = true;
  options.challenges = true;
  ScriptedCa ca(options);
  // What it has is due for renewal.
  ca.sign_by([](const TestCa& authority, std::string_view csr) {
    const WallTime now = TestCa::now();
    return authority.issue_for_csr(csr, now - hours(24 * 70), now + hours(24 * 20));
  });
  Site site(without_pebble());
  site.edge.settings.directory = ca.directory();
  const Certbot certbot(site.folder / "certbot", ca.directory());
  const ProgramEnded obtained = certbot.obtain({"a.test"}, Certbot::standalone(site.http.number()));
  ASSERT_EQ(obtained.code, 0) << obtained.output;
  ASSERT_EQ(ca.accounts().size(), 1u);
  ASSERT_EQ(ca.wishes().size(), 1u);
  ca.behave();

  write_text(site.edge.config_file(), site.edge.settings.json());
  const auto taken = site.edge.command({"certs", "import", certbot.config().string()});
  ASSERT_EQ(taken.code, 0) << taken.output;
  ASSERT_TRUE(site.edge.start());
  TlsOptions client = site.tls("a.test");
  client.roots = ca.roots();
  const std::string first = serial_in(site.folder.path(), certbot.live() / "a.test/cert.pem");
  EXPECT_TRUE(eventually([&] { return TlsClient(client).handshake().serial != first; }, kLimit))
      << site.edge.log();
  const auto wishes = ca.wishes();
  ASSERT_EQ(wishes.size(), 2u) << site.edge.log();
  EXPECT_FALSE(wishes[1].replaces.empty());
  EXPECT_EQ(wishes[1].account, wishes[0].account);
  EXPECT_EQ(ca.accounts().size(), 1u);
  EXPECT_EQ(ca.orders("a.test"), 2u);
}

// tests/run --long: a hundred thousand of them.
TEST(ImportSizeTest, AFolderWithDamagedEntriesIsTakenInAMinute) {
  const size_t count = std::getenv("LATCHKEY_LONG") != nullptr ? 100'000 : 2'000;
  const TestCa authority("Imported");
  ScriptedCa ca;
  Site site(without_pebble());
  site.edge.settings.directory = ca.directory();
  const TempFolder folder(roomy_parent(count * kCaddyEntryBytes));
  const auto tree = folder / "caddy";
  make_caddy_tree(tree, authority, count);
  // Cut off, another one's key, none at all, no PEM.
  const auto file = [&](size_t i, const char* suffix) {
    return caddy_tree_entry(tree, i) / ("n" + std::to_string(i) + ".test" + suffix);
  };
  write_text(file(1, ".crt"), read_text(file(1, ".crt")).substr(0, 300));
  write_text(file(2, ".key"), read_text(file(3, ".key")));
  std::filesystem::remove(file(4, ".key"));
  write_text(file(5, ".crt"), std::string(2000, '\0'));
  constexpr size_t kDamaged = 4;

  ASSERT_TRUE(site.edge.start());
  const Stopwatch time;
  const auto taken = site.edge.command(
      {"certs", "import", tree.string(), "--report", (site.folder / "report").string()},
      Millis(600'000));
  const double took = static_cast<double>(time.elapsed().count()) / 1000;
  std::printf("%zu certificates imported in %.1f s: %.0f a second\n", count, took,
              static_cast<double>(count) / took);
  EXPECT_LT(took, 60) << taken.output;
  EXPECT_EQ(taken.code, 1) << taken.output;  // not all is well
  EXPECT_EQ(StoreFile(site.database()).certificates(), count - kDamaged) << taken.output;
  const std::string report = read_text(site.folder / "report");
  for (const char* name : {"n1.test", "n2.test", "n4.test", "n5.test"}) {
    EXPECT_NE(
        report.find("damaged: " + caddy_tree_entry(tree, 0).parent_path().string() + "/" + name),
        std::string::npos)
        << name << "\n"
        << taken.output;
  }

  TlsOptions client = site.tls("");
  client.roots = authority.root_pem;
  for (const size_t i : {size_t{0}, size_t{3}, count / 2, count - 1}) {
    client.sni = "n" + std::to_string(i) + ".test";
    const Handshake handshake = TlsClient(client).handshake();
    EXPECT_TRUE(handshake.verified) << client.sni << ": " << handshake.error;
  }
  EXPECT_EQ(ca.wishes().size(), 0u);
  const Stopwatch second;
  const auto again = site.edge.command({"certs", "import", tree.string()}, Millis(600'000));
  std::printf("... and once more in %.1f s\n",
              static_cast<double>(second.elapsed().count()) / 1000);
  EXPECT_EQ(StoreFile(site.database()).certificates(), count - kDamaged) << again.output;
}

}  // namespace
}  // namespace latchkey::test
