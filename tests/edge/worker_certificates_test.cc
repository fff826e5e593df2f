// Twins, staples and other people's challenges through a whole worker.
#include "tests/edge/worker_fixture.h"
#include "tests/support/ocsp_ca.h"
#include "tests/support/openssl_client.h"
#include "tests/support/temp_folder.h"

namespace latchkey::edge {
namespace {

class WorkerCertificatesTest : public WorkerTest {
 protected:
  CertificatePtr rsa_certificate(const char* name) const {
    const WallTime now = TestCa::now();
    return ca.issue({name}, now - 1h, now + 24h, generate_rsa_key());
  }
  test::TlsOptions old_client(const std::string& sni) const {
    test::TlsOptions how = options(sni);
    how.only_tls12 = true;
    how.only_rsa = true;
    return how;
  }
  std::vector<std::string> take_wanted() {
    const std::lock_guard lock(mutex);
    return std::exchange(wanted, {});
  }
  void pass_challenges_to(const test::HttpServer& to) const {
    Config config;
    config.challenge_upstream = to.url();
    const auto route = *make_challenge_route(config);
    on_worker([&](Worker& w) { w.replace_challenge_route(route); });
  }

  test::TempFolder folder;
};

TEST_F(WorkerCertificatesTest, AClientWithoutEcdsaIsServedTheTwinThatItWaitedFor) {
  cache.put(a, ca.issue({"a.test"}));
  decide(a, rsa_certificate("a.test"));
  TlsClient client(old_client("a.test"));
  ASSERT_TRUE(client.handshake().verified) << client.handshake().error;
  EXPECT_TRUE(client.handshake().rsa);
  EXPECT_EQ(HttpConversation(client).get("a.test").body, "routes");
  EXPECT_EQ(take_wanted(), std::vector<std::string>{"rsa a.test"});
  EXPECT_FALSE(TlsClient(options("a.test")).handshake().rsa);
  EXPECT_TRUE(take_wanted().empty());
  EXPECT_EQ(counts.served_rsa.value(), 1u);
}

TEST_F(WorkerCertificatesTest, BothSlotsOfANameWaitBesideEachOther) {
  test::TlsOptions slow = options("a.test");
  auto modern = std::async(std::launch::async, [&] { return TlsClient(slow).handshake(); });
  ASSERT_TRUE(test::eventually([&] { return bounds.parked() == 1; }));
  auto old = std::async(std::launch::async,
                        [how = old_client("a.test")] { return TlsClient(how).handshake(); });
  ASSERT_TRUE(test::eventually([&] { return bounds.parked() == 2; }));
  // Nobody answers: the parking page is theirs when their time is up.
  EXPECT_FALSE(modern.get().verified);
  EXPECT_FALSE(old.get().verified);
  EXPECT_EQ(take_wanted(), (std::vector<std::string>{"a.test", "rsa a.test"}));
  EXPECT_EQ(left, 2u);
}

TEST_F(WorkerCertificatesTest, OpensslSeesTheStapleThatIsGoodAndNoOther) {
  const test::OcspCa own;
  const WallTime now = TestCa::now();
  const CertificatePtr bare = own.issue({"a.test"}, "http://ocsp.test/");
  test::OcspSingle word;
  word.cert_id = own.cert_id(*bare);
  word.this_update = now - 1h;
  word.next_update = now + 24h;
  test::OcspForm form;
  form.singles = {word};
  form.produced_at = now;
  auto staple = std::make_shared<Staple>();
  staple->der = test::make_ocsp_answer(form, own.self());
  staple->this_update = word.this_update;
  staple->next_update = *word.next_update;
  cache.put(a, bare->with_staple(staple));
  const auto seen = [&](const char* version) {
    return test::openssl_client(folder.path(), port, "a.test", {"-status", version}).output;
  };
  for (const char* version : {"-tls1_2", "-tls1_3"}) {
    EXPECT_NE(seen(version).find("Cert Status: good"), std::string::npos) << seen(version);
  }
  EXPECT_EQ(counts.stapled.value(), 2u);
  auto ended = std::make_shared<Staple>(*staple);
  ended->next_update = now - 1s;
  EXPECT_TRUE(cache.restaple(bare->with_staple(ended)));
  EXPECT_NE(seen("-tls1_3").find("no response sent"), std::string::npos);
}

TEST_F(WorkerCertificatesTest, OpensslWithoutEcdsaIsServedByAnRsaKey) {
  cache.put(a, ca.issue({"a.test"}));
  cache.put(a, rsa_certificate("a.test"), {}, Slot::kRsa);
  const std::string output =
      test::openssl_client(folder.path(), port, "a.test", {"-sigalgs", "RSA+SHA256", "-tls1_2"})
          .output;
  EXPECT_NE(output.find("Server public key is 2048 bit"), std::string::npos) << output;
}

TEST_F(WorkerCertificatesTest, OtherPeoplesChallengesArePassedOnAsTheyAre) {
  constexpr char kPath[] = "/.well-known/acme-challenge/token";
  test::HttpServer other([](const test::Request& request) {
    return test::Response{.body =
                              request.method + " " + request.header("host") + " " + request.target};
  });
  test::PlainClient client(http_port);
  HttpConversation http(client);
  EXPECT_EQ(http.get("x.test", kPath).status, 404);
  pass_challenges_to(other);
  for (const char* host : {"x.test", "203.0.113.7", "[2001:db8::7]"}) {
    EXPECT_EQ(http.get(host, kPath).body, "GET " + std::string(host) + " " + kPath);
  }
  {
    const std::lock_guard lock(mutex);
    EXPECT_TRUE(asked.empty());
  }
  EXPECT_EQ(http.get("x.test", "/").status, 404);
  EXPECT_EQ(upstream.requests(), 0u);
  on_worker([](Worker& w) { w.replace_challenge_route(nullptr); });
  EXPECT_EQ(http.get("x.test", kPath).status, 404);
}

TEST_F(WorkerCertificatesTest, AChallengeDoesNotGoWhereTheNamesRequestsGo) {
  test::HttpServer own([](const test::Request&) { return test::Response{.body = "own"}; });
  test::HttpServer other([](const test::Request&) { return test::Response{.body = "other"}; });
  Grant grant;
  grant.upstream = own.url();
  cache.put(a, ca.issue({"a.test"}), {.grant = std::make_shared<const Grant>(std::move(grant))});
  pass_challenges_to(other);
  test::PlainClient client(http_port);
  HttpConversation http(client);
  EXPECT_EQ(http.get("a.test", "/.well-known/acme-challenge/token").body, "other");
}

TEST_F(WorkerCertificatesTest, AnotherClientThatIsDownIsABadGateway) {
  auto gone = std::make_unique<test::HttpServer>(
      [](const test::Request&) { return test::Response{.body = ""}; });
  pass_challenges_to(*gone);
  gone.reset();
  test::PlainClient client(http_port);
  EXPECT_EQ(HttpConversation(client).get("a.test", "/.well-known/acme-challenge/token").status,
            502);
}

}  // namespace
}  // namespace latchkey::edge
