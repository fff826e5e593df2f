// Wildcards and names proven by DNS-01, with Pebble looking at a real name server.
#include <gtest/gtest.h>
#include <signal.h>

#include "tests/support/ask_server.h"
#include "tests/support/eventually.h"
#include "tests/support/name_server.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

constexpr const char* kRecord = "_acme-challenge.a.test";
constexpr Millis kIssuance{30'000};

enum class Way { kRfc2136, kHook };

NameServer::Options zones() {
  NameServer::Options options;
  options.zones = {{"a.test"}, {"b.test"}, {"c.test", "_acme-challenge CNAME proofs.for-all\n"}};
  return options;
}

Site::Options looking_at(const NameServer& dns) {
  Site::Options options;
  options.dns_server = dns.address();
  return options;
}

class Dns01Test : public ::testing::Test {
 protected:
  Dns01Test() : Dns01Test(Site::Options()) {}
  // `options`: for a CA that looks elsewhere.
  explicit Dns01Test(Site::Options options)
      : dns_(folder_ / "named", zones()),
        site_(options.dns_server.empty() ? looking_at(dns_) : std::move(options)) {
    use(Way::kRfc2136);
    site_.edge.settings.challenges = {"dns-01"};
    site_.edge.settings.managed = {"*.a.test"};
  }

  void use(Way way) {
    const bool hook = way == Way::kHook;
    site_.edge.settings.dns = JsonObject()
                                  .raw(hook ? "hook" : "rfc2136", hook ? program() : server())
                                  .raw("resolvers", "[" + json_quote(dns_.address()) + "]")
                                  .text("propagation_timeout", "5s")
                                  .str();
  }
  std::string server() {
    const auto secret = folder_ / "tsig-secret";
    write_text(secret, dns_.secret_base64() + "\n");
    std::filesystem::permissions(secret, std::filesystem::perms::owner_read);
    return JsonObject()
        .text("server", dns_.address())
        .text("key_name", dns_.key_name())
        .text("secret_file", secret.string())
        .str();
  }
  // What an operator would write.
  std::string program() {
    const auto file = folder_ / "dns-challenge";
    write_text(file, "#!/bin/sh\necho \"$@\" >> " + calls().string() +
                         "\nact=add\n[ \"$1\" = present ] || act=delete\n"
                         "ttl=1\n[ \"$1\" = present ] || ttl=\nexec nsupdate <<END\n"
                         "server 127.0.0.1 " +
                         std::to_string(dns_.port()) + "\nkey " + dns_.algorithm() + ":" +
                         dns_.key_name() + " " + dns_.secret_base64() +
                         "\nupdate $act $2 $ttl TXT \"$3\"\nsend\nEND\n");
    std::filesystem::permissions(file, std::filesystem::perms::owner_all);
    return JsonObject().text("program", file.string()).str();
  }
  std::filesystem::path calls() const { return folder_ / "calls"; }

  // Who comes before the wildcard is there gets a certificate of his own.
  bool is_served(const std::string& name) {
    const StoreFile store(site_.database());
    if (!eventually([&] { return store.certificates() >= site_.edge.settings.managed.size(); },
                    kIssuance)) {
      return false;
    }
    return eventually([&] { return site_.connect(name).handshake().verified; }, kIssuance);
  }
  bool was_published(const std::string& record) {
    return dns_.log().find("adding an RR at '" + record + "' TXT") != std::string::npos;
  }
  ::testing::AssertionResult is_gone(const std::string& record) {
    if (eventually([&] { return dns_.txt(record).empty(); })) {
      return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "there is still a TXT record at " << record;
  }
  std::vector<std::string> proofs() {
    return StoreFile(site_.database()).query("SELECT domain FROM dns_proof");
  }

  TempFolder folder_;
  NameServer dns_;
  Site site_;
};

class EachWayTest : public Dns01Test, public ::testing::WithParamInterface<Way> {};

TEST_P(EachWayTest, AWildcardIsIssuedAndTheRecordIsRemoved) {
  use(GetParam());
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(is_served("x.a.test")) << site_.edge.log();
  const Handshake x = site_.connect("x.a.test").handshake();
  const Handshake y = site_.connect("y.a.test").handshake();
  EXPECT_TRUE(y.verified) << y.error;
  EXPECT_EQ(x.serial, y.serial);
  EXPECT_EQ(site_.pebble->orders(), 1u);
  EXPECT_TRUE(was_published(kRecord)) << dns_.log();
  EXPECT_TRUE(is_gone(kRecord));
  EXPECT_TRUE(eventually([&] { return proofs().empty(); }));
  if (GetParam() == Way::kHook) {
    const std::string seen = read_text(calls());
    EXPECT_TRUE(seen.starts_with("present _acme-challenge.a.test. ")) << seen;
    EXPECT_NE(seen.find("\ncleanup _acme-challenge.a.test. "), std::string::npos) << seen;
  }

  const auto renewed = site_.edge.admin("POST", "/names/*.a.test:renew");
  EXPECT_EQ(renewed.status, 200) << renewed.body;
  EXPECT_NE(site_.connect("x.a.test").handshake().serial, x.serial);
  EXPECT_TRUE(is_gone(kRecord));
}

INSTANTIATE_TEST_SUITE_P(By, EachWayTest, ::testing::Values(Way::kRfc2136, Way::kHook),
                         [](const auto& test) {
                           return test.param == Way::kHook ? "Hook" : "Rfc2136";
                         });

struct Kill {
  Way way;
  const char* point;
};

class KilledDns01Test : public Dns01Test, public ::testing::WithParamInterface<Kill> {};

TEST_P(KilledDns01Test, TheRecordIsRemovedByTheNextStart) {
  use(GetParam().way);
  site_.edge.settings.env = {{"LATCHKEY_FAULT_POINT", GetParam().point}};
  site_.edge.launch();
  const auto exit = site_.edge.expect_end(kIssuance);
  ASSERT_TRUE(exit) << "nothing passes there\n" << site_.edge.log();
  ASSERT_EQ(exit->signal, SIGKILL) << site_.edge.log();
  EXPECT_FALSE(dns_.txt(kRecord).empty());

  site_.edge.settings.env = {};
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(is_gone(kRecord)) << site_.edge.log();
  EXPECT_TRUE(is_served("x.a.test")) << site_.edge.log();
  EXPECT_TRUE(is_gone(kRecord)) << site_.edge.log();
  EXPECT_TRUE(eventually([&] { return proofs().empty(); }));
  EXPECT_LE(site_.pebble->orders(), 2u);
}

INSTANTIATE_TEST_SUITE_P(At, KilledDns01Test,
                         ::testing::Values(Kill{Way::kRfc2136, "challenge.offered"},
                                           Kill{Way::kRfc2136, "challenge.accepted"},
                                           Kill{Way::kHook, "challenge.offered"},
                                           Kill{Way::kHook, "challenge.accepted"}),
                         [](const auto& test) {
                           const std::string_view point = test.param.point;
                           return std::string(point.substr(point.find('.') + 1)) +
                                  (test.param.way == Way::kHook ? "ByHook" : "ByRfc2136");
                         });

// Pebble asks a DNS in which the record never is.
class FailingDns01Test : public Dns01Test, public ::testing::WithParamInterface<Way> {
 protected:
  FailingDns01Test() : Dns01Test(elsewhere()) {}
  static Site::Options elsewhere() {
    Site::Options options;
    options.dns_server = "127.0.0.1:1";
    return options;
  }
};

TEST_P(FailingDns01Test, TheRecordIsRemovedWhenTheCaDoesNotSeeIt) {
  use(GetParam());
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(site_.edge.wait_for("issuance_failed", 1, kIssuance)) << site_.edge.log();
  EXPECT_TRUE(was_published(kRecord)) << dns_.log();
  EXPECT_TRUE(is_gone(kRecord));
  EXPECT_TRUE(eventually([&] { return proofs().empty(); }));
  EXPECT_EQ(site_.edge.count("issuance_failed"), 1u);
  EXPECT_LE(site_.pebble->orders(), 2u);
}

INSTANTIATE_TEST_SUITE_P(By, FailingDns01Test, ::testing::Values(Way::kRfc2136, Way::kHook),
                         [](const auto& test) {
                           return test.param == Way::kHook ? "Hook" : "Rfc2136";
                         });

TEST_F(Dns01Test, ANameAndItsWildcardAreProvenBesideEachOther) {
  site_.edge.settings.managed = {"a.test", "*.a.test"};
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(is_served("a.test")) << site_.edge.log();
  EXPECT_TRUE(is_served("x.a.test")) << site_.edge.log();
  EXPECT_EQ(site_.pebble->orders(), 2u);
  EXPECT_TRUE(is_gone(kRecord));
}

TEST_F(Dns01Test, AChallengeThatIsDelegatedByCnameIsAnsweredWhereItLeads) {
  site_.edge.settings.managed = {"*.c.test"};
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(is_served("x.c.test")) << site_.edge.log();
  EXPECT_TRUE(was_published("proofs.for-all.c.test")) << dns_.log();
  EXPECT_TRUE(is_gone("proofs.for-all.c.test"));
}

TEST_F(Dns01Test, AVisitorOfANameWaitsForItsProof) {
  site_.edge.settings.managed = {};
  ASSERT_TRUE(site_.edge.start());
  const Handshake first = site_.connect("www.b.test").handshake();
  EXPECT_TRUE(first.verified) << first.error << "\n" << site_.edge.log();
  EXPECT_TRUE(is_gone("_acme-challenge.www.b.test"));
}

TEST_F(Dns01Test, NamesWhoseAskAnswerSaysSoShareAWildcard) {
  Response granted;
  granted.body = R"({"wildcard":true})";
  AskServer ask(AskServer::answer(granted));
  site_.edge.settings.managed = {};
  site_.edge.settings.allow = {};
  site_.edge.settings.ask = ask.url();
  ASSERT_TRUE(site_.edge.start());
  // At once, before there is anything to share.
  const auto names = [](size_t i) { return "n" + std::to_string(i % 10) + ".a.test"; };
  for (const Handshake& handshake : site_.swarm(20, names)) {
    EXPECT_TRUE(handshake.verified) << handshake.error;
  }
  const Handshake later = site_.connect("later.a.test").handshake();
  EXPECT_TRUE(later.verified) << later.error;
  EXPECT_EQ(site_.pebble->orders(), 1u) << site_.edge.log();

  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_EQ(site_.connect("n3.a.test").handshake().serial, later.serial);
  EXPECT_TRUE(site_.connect("new.a.test").handshake().verified);
  EXPECT_EQ(site_.pebble->orders(), 1u);
}

TEST_F(Dns01Test, AServerThatRefusesTheKeyIsSaidToAndNothingIsAskedOfTheCaAllTheTime) {
  const auto wrong = folder_ / "wrong-secret";
  write_text(wrong, "bm90IHRoZSBzZWNyZXQgb2YgdGhlIHNlcnZlciBhdCBhbGw=\n");
  std::filesystem::permissions(wrong, std::filesystem::perms::owner_read);
  const std::string server = JsonObject()
                                 .text("server", dns_.address())
                                 .text("key_name", dns_.key_name())
                                 .text("secret_file", wrong.string())
                                 .str();
  site_.edge.settings.dns = JsonObject().raw("rfc2136", server).str();
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(site_.edge.wait_for("issuance_failed", 1, kIssuance)) << site_.edge.log();
  EXPECT_TRUE(site_.edge.logged("issuance_failed", "BADSIG") ||
              site_.edge.logged("issuance_failed", "NOTAUTH"))
      << site_.edge.log();
  EXPECT_FALSE(site_.edge.logged("bm90IHRoZSBzZWNyZXQ"));
  EXPECT_LE(site_.pebble->orders(), 2u);
}

}  // namespace
}  // namespace latchkey::test
