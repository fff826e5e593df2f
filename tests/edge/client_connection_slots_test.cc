// Which of a name's certificates a client gets: the twin for those without ECDSA, the operator's
// own, and what is stapled to them.
#include "edge/hello.h"
#include "tests/edge/client_connection_fixture.h"

namespace latchkey::edge {
namespace {

const PrivateKey& rsa_key() {
  static const PrivateKey made = generate_rsa_key();
  return made;
}

CertificatePtr rsa_certificate(const std::string& name, Millis life = 24h) {
  const WallTime now = TestCa::now();
  return ca().issue({name}, now - 48h, now + std::chrono::duration_cast<std::chrono::seconds>(life),
                    rsa_key());
}

StaplePtr staple_until(WallTime end) {
  auto made = std::make_shared<Staple>();
  made->der = "what a responder said";
  made->this_update = TestCa::now() - 1h;
  made->next_update = end;
  return made;
}

std::string stapled(TlsTestClient& client) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  SSL_get0_ocsp_response(client.ssl(), &data, &size);
  return {reinterpret_cast<const char*>(data), size};
}

// What a client can verify, and its cipher suites of TLS 1.2.
struct Client {
  std::vector<uint16_t> schemes;
  const char* suites = nullptr;
  bool tls13 = true;
};
const Client kRsa12{{SSL_SIGN_RSA_PKCS1_SHA256}, nullptr, false};
const Client kRsa13{{SSL_SIGN_RSA_PSS_RSAE_SHA256}};
const Client kRsaSuites{{SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_ECDSA_SECP256R1_SHA256},
                        "ECDHE-RSA-AES128-GCM-SHA256",
                        false};
const Client kBoth13{{SSL_SIGN_RSA_PSS_RSAE_SHA256, SSL_SIGN_ECDSA_SECP256R1_SHA256}};
const Client kBoth12{{SSL_SIGN_RSA_PKCS1_SHA256, SSL_SIGN_ECDSA_SECP256R1_SHA256}, nullptr, false};
const Client kEcdsa12{{SSL_SIGN_ECDSA_SECP256R1_SHA256}, "ECDHE-ECDSA-AES128-GCM-SHA256", false};
// It can verify one kind of signature, and has suites for the other.
const Client kNeither{{SSL_SIGN_RSA_PKCS1_SHA256}, "ECDHE-ECDSA-AES128-GCM-SHA256", false};

class ClientSlotsTest : public ClientConnectionTest {
 protected:
  std::unique_ptr<TlsTestClient> connect_as(const Client& kind, const std::string& name) {
    auto client = connect(name);
    EXPECT_TRUE(
        SSL_set_verify_algorithm_prefs(client->ssl(), kind.schemes.data(), kind.schemes.size()));
    if (!kind.tls13) SSL_set_max_proto_version(client->ssl(), TLS1_2_VERSION);
    if (kind.suites != nullptr) {
      EXPECT_TRUE(SSL_set_strict_cipher_list(client->ssl(), kind.suites));
    }
    return client;
  }
  // "rsa", "ecdsa", or "alert".
  std::string outcome(TlsTestClient& client) {
    run(client);
    if (!client.done) return client.alert != 0 ? "alert" : "waits";
    return connection->certificate()->is_rsa() ? "rsa" : "ecdsa";
  }
  std::string outcome(const Client& kind, const std::string& name = "a.test") {
    return outcome(*connect_as(kind, name));
  }
};

TEST_F(ClientSlotsTest, EachClientGetsTheCertificateThatItCanVerify) {
  cache.put(a, ca().issue({"a.test"}));
  cache.put(a, rsa_certificate("a.test"), {}, Slot::kRsa);
  for (const Client& kind : {kRsa12, kRsa13, kRsaSuites}) EXPECT_EQ(outcome(kind), "rsa");
  for (const Client& kind : {kBoth12, kBoth13, kEcdsa12}) EXPECT_EQ(outcome(kind), "ecdsa");
  EXPECT_EQ(outcome(kNeither), "alert");
  EXPECT_EQ(counts.served.value(), 6u);
  EXPECT_EQ(counts.served_rsa.value(), 3u);
  EXPECT_TRUE(wanted.empty() && rsa_wanted.empty());
  EXPECT_EQ(used, std::vector<ServerName>{a});
  EXPECT_EQ(rsa_used, std::vector<ServerName>{a});
}

TEST_F(ClientSlotsTest, AClientWithoutEcdsaWaitsForTheTwin) {
  cache.put(a, ca().issue({"a.test"}));
  auto client = connect_as(kRsa12, "a.test");
  EXPECT_EQ(outcome(*client), "waits");
  EXPECT_TRUE(wanted.empty());
  ASSERT_EQ(rsa_wanted, std::vector<ServerName>{a});
  EXPECT_EQ(bounds.parked(), 1u);
  rsa_parking.resume(a, rsa_certificate("a.test"));
  EXPECT_EQ(outcome(*client), "rsa");
  EXPECT_EQ(bounds.parked(), 0u);
  EXPECT_EQ(counts.served_rsa.value(), 1u);
}

TEST_F(ClientSlotsTest, WhoWaitsForATwinAndLeavesIsForgotten) {
  auto client = connect_as(kRsa13, "a.test");
  EXPECT_EQ(outcome(*client), "waits");
  client.reset();
  turn();
  connection.reset();
  EXPECT_EQ(rsa_left, std::vector<ServerName>{a});
  EXPECT_TRUE(left.empty());
  EXPECT_EQ(bounds.parked(), 0u);
}

TEST_F(ClientSlotsTest, BothSlotsShareTheBoundsOfParking) {
  std::vector<std::unique_ptr<ClientConnection>> parked;
  std::vector<std::unique_ptr<TlsTestClient>> clients;
  for (const Client& kind : {kRsa12, kBoth13}) {
    clients.push_back(connect_as(kind, "a.test"));
    EXPECT_EQ(outcome(*clients.back()), "waits");
    parked.push_back(std::move(connection));
  }
  EXPECT_EQ(outcome(kRsa12), "alert") << "two for a name";
  EXPECT_EQ(counts.overflows_name.value(), 1u);
}

TEST_F(ClientSlotsTest, ACertificateWithAnRsaKeyServesAll) {
  cache.put(a, rsa_certificate("a.test"));
  for (const Client& kind : {kRsa12, kRsa13, kRsaSuites, kBoth12, kBoth13}) {
    EXPECT_EQ(outcome(kind), "rsa");
  }
  EXPECT_TRUE(wanted.empty() && rsa_wanted.empty());
  EXPECT_EQ(counts.served_rsa.value(), 3u);
}

TEST_F(ClientSlotsTest, WithoutTwinsThereIsOneCertificateForAll) {
  shared.rsa_twins = false;
  auto client = connect_as(kRsa12, "a.test");
  EXPECT_EQ(outcome(*client), "waits");
  EXPECT_TRUE(rsa_wanted.empty());
  ASSERT_EQ(wanted, std::vector<ServerName>{a});
  parking.resume(a, rsa_certificate("a.test"));  // the policy said so
  EXPECT_EQ(outcome(*client), "rsa");
  cache.put(a, ca().issue({"a.test"}));
  EXPECT_EQ(outcome(kRsa12), "alert");
  EXPECT_EQ(wanted.size(), 1u) << "nothing is ordered that it could not use either";
}

TEST_F(ClientSlotsTest, TheGrantIsTheSameForBoth) {
  const Grant grant{.upstream = "http://one.test"};
  cache.put(a, ca().issue({"a.test"}), {.grant = std::make_shared<const Grant>(grant)});
  auto client = connect_as(kRsa12, "a.test");
  run(*client);
  rsa_parking.resume(a, rsa_certificate("a.test"));
  ASSERT_EQ(outcome(*client), "rsa");
  ASSERT_NE(connection->grant_of("a.test"), nullptr);
  EXPECT_EQ(connection->grant_of("a.test")->upstream, "http://one.test");
}

TEST_F(ClientSlotsTest, AnExpiredTwinIsNotServed) {
  cache.put(a, rsa_certificate("a.test", -1h), {}, Slot::kRsa);
  EXPECT_EQ(outcome(kRsa12), "waits");
  EXPECT_EQ(rsa_wanted, std::vector<ServerName>{a});
}

TEST_F(ClientSlotsTest, WhatTheOperatorConfiguredIsServedAlsoWhenItHasExpired) {
  const WallTime now = TestCa::now();
  const CertificatePtr old = ca().issue({"a.test", "*.b.test"}, now - 48h, now - 24h);
  cache.set_configured({{old, "a.pem"}});
  for (const char* name : {"a.test", "x.b.test"}) {
    auto client = connect(name);
    SSL_set_max_proto_version(client->ssl(), TLS1_2_VERSION);  // whose tickets come at once
    EXPECT_EQ(outcome(*client), "ecdsa");
    EXPECT_EQ(client->session(), nullptr) << "the next visit is to see the new one";
  }
  EXPECT_EQ(counts.served_expired.value(), 2u);
  EXPECT_TRUE(wanted.empty() && rechecked.empty() && used.empty());

  const CertificatePtr fresh = ca().issue({"a.test"});
  cache.set_configured({{fresh, "a.pem"}});
  auto client = connect("a.test");
  SSL_set_max_proto_version(client->ssl(), TLS1_2_VERSION);
  EXPECT_EQ(outcome(*client), "ecdsa");
  EXPECT_EQ(connection->certificate(), fresh);
  EXPECT_NE(client->session(), nullptr);
}

TEST_F(ClientSlotsTest, NoTwinIsOrderedForWhatTheOperatorConfigured) {
  cache.set_configured({{ca().issue({"a.test"}), "a.pem"}});
  EXPECT_EQ(outcome(kRsa12), "alert");
  EXPECT_TRUE(wanted.empty() && rsa_wanted.empty());
  cache.set_configured({{ca().issue({"a.test"}), "a.pem"}, {rsa_certificate("a.test"), "b.pem"}});
  EXPECT_EQ(outcome(kRsa12), "rsa");
  EXPECT_EQ(outcome(kBoth13), "ecdsa");
}

TEST_F(ClientSlotsTest, AStapleGoesToThoseWhoWantIt) {
  const CertificatePtr bare = ca().issue({"a.test"});
  const StaplePtr good = staple_until(TestCa::now() + 1h);
  cache.put(a, bare->with_staple(good));
  for (const bool tls13 : {false, true}) {
    auto client = connect("a.test");
    SSL_enable_ocsp_stapling(client->ssl());
    if (!tls13) SSL_set_max_proto_version(client->ssl(), TLS1_2_VERSION);
    run(*client);
    EXPECT_TRUE(client->done);
    EXPECT_EQ(stapled(*client), good->der);
  }
  EXPECT_EQ(counts.stapled.value(), 2u);
  auto other = connect("a.test");
  run(*other);
  EXPECT_TRUE(other->done);
  EXPECT_EQ(stapled(*other), "");
  EXPECT_EQ(counts.stapled.value(), 2u) << "who did not ask has none";
}

TEST_F(ClientSlotsTest, AStapleThatHasEndedIsNotSent) {
  cache.put(a, ca().issue({"a.test"})->with_staple(staple_until(TestCa::now() - 1s)));
  auto client = connect("a.test");
  SSL_enable_ocsp_stapling(client->ssl());
  run(*client);
  EXPECT_TRUE(client->done);
  EXPECT_EQ(stapled(*client), "");
  EXPECT_EQ(counts.stapled.value(), 0u);
}

TEST_F(ClientSlotsTest, AParkedHandshakeGetsTheStapleOfWhatItWaitedFor) {
  auto client = connect("a.test");
  SSL_enable_ocsp_stapling(client->ssl());
  run(*client);
  const CertificatePtr made = ca().issue({"a.test"});
  parking.resume(a, made->with_staple(staple_until(TestCa::now() + 1h)));
  run(*client);
  EXPECT_TRUE(client->done);
  EXPECT_NE(stapled(*client), "");
  EXPECT_EQ(counts.stapled.value(), 1u);
}

TEST_F(ClientSlotsTest, AResumedSessionCountsNoStaple) {
  cache.put(a, ca().issue({"a.test"})->with_staple(staple_until(TestCa::now() + 1h)));
  auto first = connect("a.test");
  SSL_enable_ocsp_stapling(first->ssl());
  SSL_set_max_proto_version(first->ssl(), TLS1_2_VERSION);
  run(*first);
  ASSERT_NE(first->session(), nullptr);
  auto again = connect("a.test");
  SSL_enable_ocsp_stapling(again->ssl());
  SSL_set_max_proto_version(again->ssl(), TLS1_2_VERSION);
  SSL_set_session(again->ssl(), first->session());
  run(*again);
  ASSERT_TRUE(SSL_session_reused(again->ssl()));
  EXPECT_EQ(counts.stapled.value(), 1u);
}

TEST_F(ClientSlotsTest, ATicketOfATwinIsBoundToTheName) {
  cache.put(a, rsa_certificate("a.test"), {}, Slot::kRsa);
  cache.put(*ServerName::parse("b.test"), rsa_certificate("b.test"), {}, Slot::kRsa);
  auto first = connect_as(kRsa12, "a.test");
  EXPECT_EQ(outcome(*first), "rsa");
  ASSERT_NE(first->session(), nullptr);
  for (const auto& [name, resumed] : {std::pair("a.test", true), std::pair("b.test", false)}) {
    auto again = connect_as(kRsa12, name);
    SSL_set_session(again->ssl(), first->session());
    EXPECT_EQ(outcome(*again), "rsa");
    EXPECT_EQ(SSL_session_reused(again->ssl()) == 1, resumed) << name;
  }
}

}  // namespace
}  // namespace latchkey::edge
