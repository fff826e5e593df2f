// Clients that are asked for a certificate; versions, ciphers and groups by policy.
#include "edge/client_certificates.h"

#include <gmock/gmock.h>

#include "edge/ticket_keys.h"
#include "edge/tls_policy.h"
#include "tests/edge/client_connection_fixture.h"
#include "tests/support/client_ca.h"
#include "tests/support/manual_clock.h"
#include "tests/support/temp_folder.h"

namespace latchkey::edge {
namespace {

using test::ClientCa;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

class TlsPolicyTest : public ClientConnectionTest {
 protected:
  TlsPolicyTest() {
    for (const char* name : {"a.test", "b.test"}) {
      cache.put(*ServerName::parse(name), ca().issue({name}));
    }
  }

  std::shared_ptr<const ClientCertificates> load(bool required,
                                                 std::vector<std::string> hosts = {}) {
    ClientCertificatesConfig config;
    config.required = required;
    config.hosts = std::move(hosts);
    test::write_text(folder / "clients.pem", clients.pem());
    return *ClientCertificates::load(config, (folder / "clients.pem").string());
  }
  void use_clients(std::shared_ptr<const ClientCertificates> rules) {
    TlsPolicy policy;
    policy.clients = std::move(rules);
    use_tls(policy);
    // Of one secret, as with the configured ones: only the context of a session tells.
    tls->use_ticket_keys(keys);
  }
  static void show(TlsTestClient& client, const CertificatePtr& own) {
    const auto& chain = own->chain();
    ASSERT_TRUE(
        SSL_set_chain_and_key(client.ssl(), chain.data(), chain.size(), own->key().get(), nullptr));
  }
  struct Try {
    CertificatePtr own{};
    std::string name = "a.test";
    bool tls12 = false;
    SSL_SESSION* session = nullptr;
  };
  std::unique_ptr<TlsTestClient> handshake(const Try& how) {
    auto client = connect(how.name);
    if (how.own != nullptr) show(*client, how.own);
    if (how.tls12) SSL_set_max_proto_version(client->ssl(), TLS1_2_VERSION);
    if (how.session != nullptr) SSL_set_session(client->ssl(), how.session);
    run(*client);
    return client;
  }
  // The same; has a ticket then, which TLS 1.3 sends with our first words.
  std::unique_ptr<TlsTestClient> ticketed(const Try& how) {
    auto client = handshake(how);
    SSL_write(client->ssl(), "?\r\n\r\n", 5);
    run(*client);
    EXPECT_NE(client->session(), nullptr);
    return client;
  }
  bool served() const { return connection != nullptr && !buried; }
  // After a handshake: the alert, or 0 for a connection that is served.
  int alert_of(const Try& how) {
    const auto client = handshake(how);
    EXPECT_EQ(client->alert == 0, served());
    return client->alert;
  }

  test::TempFolder folder;
  TicketKeys keys{std::string(32, 'k')};
  const ClientCa clients;
  const CertificatePtr alice = clients.issue({});
};

TEST_F(TlsPolicyTest, WhoMustShowACertificateIsRefusedWithoutAGoodOne) {
  use_clients(load(true));
  const WallTime now = TestCa::now();
  const ClientCa others("Others");
  for (const bool tls12 : {false, true}) {
    SCOPED_TRACE(tls12 ? "TLS 1.2" : "TLS 1.3");
    const auto alert = [&](CertificatePtr own) {
      return alert_of({.own = std::move(own), .tls12 = tls12});
    };
    EXPECT_EQ(alert(nullptr), tls12 ? SSL_AD_HANDSHAKE_FAILURE : SSL_AD_CERTIFICATE_REQUIRED);
    EXPECT_EQ(alert(others.issue({})), SSL_AD_UNKNOWN_CA);
    EXPECT_EQ(alert(ClientCa("Clients").issue({})), SSL_AD_DECRYPT_ERROR) << "a CA of that name";
    EXPECT_EQ(alert(clients.issue({.not_before = now - 48h, .not_after = now - 1h})),
              SSL_AD_CERTIFICATE_EXPIRED);
    EXPECT_EQ(alert(clients.issue({.not_before = now + 1h, .not_after = now + 48h})),
              SSL_AD_CERTIFICATE_EXPIRED);
    EXPECT_EQ(alert(clients.issue({.purpose = "serverAuth"})), SSL_AD_UNSUPPORTED_CERTIFICATE);
    EXPECT_EQ(alert(ca().issue({"a.test"})), SSL_AD_UNKNOWN_CA);
    EXPECT_EQ(alert(alice), 0);
    EXPECT_EQ(alert(clients.issue({.purpose = ""})), 0);
  }
  EXPECT_EQ(counts.refused_clients.value(), 14u);
  EXPECT_EQ(counts.verified_clients.value(), 4u);
}

TEST_F(TlsPolicyTest, WhoIsOnlyRequestedMayShowNoneButNoBadOne) {
  use_clients(load(false));
  EXPECT_EQ(alert_of({}), 0);
  EXPECT_TRUE(connection->proof_of("a.test").asked);
  EXPECT_EQ(connection->proof_of("a.test").identity, nullptr);
  EXPECT_EQ(alert_of({.own = ClientCa("Others").issue({})}), SSL_AD_UNKNOWN_CA);
  EXPECT_EQ(alert_of({.own = alice}), 0);
  const auto identity = connection->proof_of("a.test").identity;
  ASSERT_NE(identity, nullptr);
  EXPECT_EQ(identity->subject, "CN=Alice");
  EXPECT_EQ(identity->serial, alice->serial());
  EXPECT_EQ(identity->fingerprint.size(), 64u);
  EXPECT_EQ(identity->not_after, alice->not_after());
}

TEST_F(TlsPolicyTest, SubjectsAreSafeInAHeader) {
  use_clients(load(true));
  ASSERT_EQ(alert_of({.own = clients.issue({.common_name = "B\r\nX-Evil: 1\x01, \"\xc3\xa9\""})}),
            0);
  const std::string subject = connection->proof_of("a.test").identity->subject;
  EXPECT_EQ(subject.find_first_of("\r\n\x01\xc3"), std::string::npos) << subject;
  EXPECT_THAT(subject, HasSubstr("CN=B"));
}

TEST_F(TlsPolicyTest, OnlySomeHostsMayAsk) {
  use_clients(load(true, {"a.test", "*.inside.test"}));
  EXPECT_EQ(alert_of({.name = "b.test"}), 0);
  EXPECT_TRUE(connection->may_carry("b.test"));
  EXPECT_FALSE(connection->may_carry("a.test")) << "a name that was not asked for";
  EXPECT_FALSE(connection->may_carry("x.inside.test"));
  EXPECT_FALSE(connection->proof_of("a.test").asked);
  EXPECT_EQ(alert_of({}), SSL_AD_CERTIFICATE_REQUIRED);
  EXPECT_EQ(alert_of({.own = alice}), 0);
  EXPECT_TRUE(connection->may_carry("a.test"));
  EXPECT_FALSE(connection->proof_of("b.test").asked) << "no business of theirs";
  const auto rules = load(true, {"*.inside.test"});
  EXPECT_FALSE(rules->asks("inside.test"));
  EXPECT_FALSE(rules->asks("beinside.test"));
  EXPECT_TRUE(rules->asks("y.x.inside.test"));
  EXPECT_TRUE(rules->asks("x.inside.test..."));
}

TEST_F(TlsPolicyTest, AReloadHoldsForTheConnectionsThatAreThere) {
  EXPECT_EQ(alert_of({}), 0);
  EXPECT_TRUE(connection->may_carry("a.test"));
  use_clients(load(true));
  tls_now = tls;
  EXPECT_FALSE(connection->may_carry("a.test"));
  EXPECT_EQ(alert_of({.own = alice}), 0);
  EXPECT_TRUE(connection->may_carry("a.test"));
  use_clients(load(false));
  tls_now = tls;
  EXPECT_FALSE(connection->may_carry("a.test")) << "verified by other rules";
}

TEST_F(TlsPolicyTest, SessionsGoOnOnlyUnderTheRulesThatTheyBeganUnder) {
  for (const bool tls12 : {false, true}) {
    SCOPED_TRACE(tls12 ? "TLS 1.2" : "TLS 1.3");
    tls = std::make_shared<TlsContext>();
    tls->use_ticket_keys(keys);
    const auto stranger = ticketed({.tls12 = tls12});
    EXPECT_TRUE(
        SSL_session_reused(handshake({.tls12 = tls12, .session = stranger->session()})->ssl()))
        << "as long as nothing changes";

    use_clients(load(false));
    const auto nobody = ticketed({.tls12 = tls12, .session = stranger->session()});
    EXPECT_FALSE(SSL_session_reused(nobody->ssl()));
    use_clients(load(true));
    EXPECT_NE(alert_of({.tls12 = tls12, .session = stranger->session()}), 0);
    EXPECT_NE(alert_of({.tls12 = tls12, .session = nobody->session()}), 0);

    const auto first = ticketed({.own = alice, .tls12 = tls12});
    const auto again = handshake({.tls12 = tls12, .session = first->session()});
    EXPECT_TRUE(SSL_session_reused(again->ssl()));
    ASSERT_TRUE(served());
    ASSERT_NE(connection->proof_of("a.test").identity, nullptr);
    EXPECT_EQ(connection->proof_of("a.test").identity->serial, alice->serial());

    use_clients(load(false));
    EXPECT_FALSE(
        SSL_session_reused(handshake({.tls12 = tls12, .session = first->session()})->ssl()));
  }
}

TEST_F(TlsPolicyTest, ACertificateThatEndsEndsItsSessions) {
  use_clients(load(true));
  const auto first = ticketed({.own = alice});
  ManualClock later;
  later.advance(25h);
  const ClientConnection::Context then{loop.uv(), later, shared, tls_now, parking,     rsa_parking,
                                       fallback,  ahead, gather, {},      context.bury};
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
  connection = std::make_unique<ClientConnection>(then, fds[0], "192.0.2.1");
  TlsTestClient client(fds[1], "a.test");
  SSL_set_session(client.ssl(), first->session());
  run(client);
  EXPECT_EQ(client.alert, SSL_AD_CERTIFICATE_EXPIRED);
  EXPECT_EQ(counts.refused_clients.value(), 1u);
}

TEST_F(TlsPolicyTest, TheFileOfCasIsNamedWithWhatIsWrong) {
  ClientCertificatesConfig config;
  const auto message = [&](const std::string& file) {
    const auto loaded = ClientCertificates::load(config, file);
    return loaded ? "it was taken" : loaded.error().message;
  };
  const std::string file = (folder / "bad.pem").string();
  EXPECT_THAT(message(file), HasSubstr(file));
  test::write_text(folder / "bad.pem", "nothing");
  EXPECT_THAT(message(file), HasSubstr(file + ": it holds no certificate"));
  test::write_text(folder / "bad.pem", clients.pem() + "-----BEGIN CERTIFICATE-----\nAAAA\n" +
                                           "-----END CERTIFICATE-----\n");
  EXPECT_THAT(message(file), HasSubstr(file + ": certificate 2 of it cannot be read"));
  test::write_text(folder / "bad.pem", "comment\n" + clients.pem() + clients.pem());
  EXPECT_EQ(message(file), "it was taken") << "the same one twice";
}

// ---- versions, ciphers, groups

TEST_F(TlsPolicyTest, NothingIsOrderedForWhoSpeaksNoVersionOfOurs) {
  TlsPolicy policy;
  policy.only_tls13 = true;
  use_tls(policy);
  EXPECT_EQ(alert_of({.name = "new.test", .tls12 = true}), SSL_AD_PROTOCOL_VERSION);
  EXPECT_EQ(counts.refused_version.value(), 1u);
  EXPECT_TRUE(wanted.empty());
  EXPECT_EQ(alert_of({}), 0);
  use_tls({});
  const auto old = connect("new.test");
  SSL_set_min_proto_version(old->ssl(), TLS1_VERSION);
  SSL_set_max_proto_version(old->ssl(), TLS1_1_VERSION);
  run(*old);
  EXPECT_EQ(old->alert, SSL_AD_PROTOCOL_VERSION);
  EXPECT_TRUE(wanted.empty());
}

TEST_F(TlsPolicyTest, CiphersAreThoseThatTheOperatorNames) {
  TlsPolicy policy;
  policy.ciphers = *find_cipher("TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256");
  use_tls(policy);
  const auto client = handshake({.tls12 = true});
  ASSERT_TRUE(client->done);
  EXPECT_STREQ(SSL_CIPHER_get_name(SSL_get_current_cipher(client->ssl())),
               "ECDHE-ECDSA-CHACHA20-POLY1305");
  EXPECT_EQ(find_cipher("AES128-SHA"), std::nullopt) << "without forward secrecy";
  EXPECT_EQ(find_cipher("ALL"), std::nullopt);
  for (const std::string& name : offered_ciphers()) EXPECT_EQ(find_cipher(name), name);
}

TEST_F(TlsPolicyTest, GroupsAreThoseThatTheOperatorNames) {
  TlsPolicy policy;
  policy.groups = *find_group("secp384r1");
  use_tls(policy);
  const auto client = handshake({});
  ASSERT_TRUE(client->done);
  EXPECT_EQ(SSL_get_curve_id(client->ssl()), SSL_CURVE_SECP384R1);
}

TEST_F(TlsPolicyTest, ThePostQuantumGroupIsThereWhenTheLibraryHasItAndDraftsAreNot) {
#ifdef SSL_GROUP_X25519_MLKEM768
  EXPECT_EQ(offered_groups().front(), "X25519MLKEM768");
  const auto client = connect("a.test");
  SSL_set1_curves_list(client->ssl(), "X25519MLKEM768");
  run(*client);
  EXPECT_TRUE(client->done);
#else
  EXPECT_EQ(offered_groups().front(), "X25519");
  EXPECT_EQ(find_group("X25519MLKEM768"), std::nullopt);
#endif
  EXPECT_EQ(find_group("CECPQ2"), std::nullopt);
  EXPECT_THAT(offered_groups(), Contains("P-521"));
  EXPECT_THAT(default_groups(), Not(HasSubstr("P-521")));
#ifdef SSL_CURVE_CECPQ2
  const auto draft = connect("a.test");
  SSL_set1_curves_list(draft->ssl(), "CECPQ2:P-256");
  run(*draft);
  ASSERT_TRUE(draft->done);
  EXPECT_EQ(SSL_get_curve_id(draft->ssl()), SSL_CURVE_SECP256R1);
#endif
}

}  // namespace
}  // namespace latchkey::edge
