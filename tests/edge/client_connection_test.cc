// A client's handshake over a socket pair: hellos in any split, parked handshakes, refusals.
#include "edge/client_connection.h"

#include "acme/self_signed.h"
#include "edge/hello.h"
#include "tests/edge/client_connection_fixture.h"
#include "tests/support/manual_clock.h"

namespace latchkey::edge {
namespace {

TEST_F(ClientConnectionTest, ACachedNameIsServedWhateverTheSplitOfTheHello) {
  const CertificatePtr certificate = ca().issue({"a.test"});
  cache.put(a, certificate);
  for (size_t chunk : {1, 2, 5, 37, 100'000}) {
    auto client = connect("A.Test");
    run(*client, chunk);
    EXPECT_TRUE(client->done) << chunk;
  }
  EXPECT_EQ(counts.served.value(), 5u);
  EXPECT_TRUE(wanted.empty());
}

TEST_F(ClientConnectionTest, AParkedHandshakeIsFinishedWithItsCertificate) {
  auto client = connect("a.test");
  run(*client);
  EXPECT_FALSE(client->done);
  ASSERT_EQ(wanted, std::vector<ServerName>{a});
  EXPECT_EQ(bounds.parked(), 1u);
  const Result<CertificatePtr> outcome = ca().issue({"a.test"});
  parking.resume(a, outcome);
  run(*client);
  EXPECT_TRUE(client->done);
  EXPECT_EQ(bounds.parked(), 0u);
}

TEST_F(ClientConnectionTest, ADeniedNameIsUnrecognizedAndAFailureIsInternal) {
  for (const auto& [code, alert] : {std::pair(ErrorCode::kDenied, SSL_AD_UNRECOGNIZED_NAME),
                                    std::pair(ErrorCode::kTimeout, SSL_AD_INTERNAL_ERROR)}) {
    auto client = connect("a.test");
    run(*client);
    const Error why{code, "no"};
    parking.resume(a, why);
    run(*client);
    EXPECT_EQ(client->alert, alert);
    EXPECT_TRUE(buried);
  }
}

TEST_F(ClientConnectionTest, NoNameAndUncleanNamesAreRefusedWithoutAsking) {
  for (const char* name : {"", "127.0.0.1", "a..test", "-a.test", "a_b.test", "xn--\x80.test"}) {
    auto client = connect(name);
    run(*client);
    EXPECT_EQ(client->alert, SSL_AD_UNRECOGNIZED_NAME) << name;
  }
  EXPECT_TRUE(wanted.empty());
}

TEST_F(ClientConnectionTest, AClientThatHangsUpWhileParkedIsForgotten) {
  auto client = connect("a.test");
  run(*client);
  EXPECT_EQ(bounds.parked(), 1u);
  client.reset();
  turn();
  EXPECT_TRUE(buried);
  connection.reset();
  EXPECT_EQ(bounds.parked(), 0u);
  EXPECT_EQ(left, std::vector<ServerName>{a});
  parking.resume(a, Error{ErrorCode::kDenied, "no"});
  EXPECT_EQ(left.size(), 1u);
}

TEST_F(ClientConnectionTest, AParkedHandshakeIsRefusedWhenItsTimeIsUp) {
  auto client = connect("a.test");
  run(*client);
  loop.run_until([&] { return buried; });
  EXPECT_EQ(counts.park_timeouts.value(), 1u);
  EXPECT_EQ(left, std::vector<ServerName>{a});
  connection.reset();
  client->step();
  EXPECT_EQ(client->alert, SSL_AD_INTERNAL_ERROR);
}

TEST_F(ClientConnectionTest, AnExpiredCertificateInMemoryIsNotServed) {
  const WallTime now = TestCa::now();
  cache.put(a, ca().issue({"a.test"}, now - 48h, now - 24h));
  auto client = connect("a.test");
  run(*client);
  EXPECT_EQ(wanted.size(), 1u);
}

TEST_F(ClientConnectionTest, WhatHasExpiredOrStandsInForItIsServedAndLeavesNoSession) {
  const WallTime now = TestCa::now();
  acme::SelfSigned stand_in;
  stand_in.common_name = "a.test";
  stand_in.dns_name = "a.test";
  const CertificatePtr old = ca().issue({"a.test"}, now - 48h, now - 24h);
  const CertificatePtr own = *acme::make_self_signed(stand_in);
  const CertificatePtr fresh = ca().issue({"a.test"});
  EXPECT_TRUE(is_self_signed(*own));
  EXPECT_FALSE(is_self_signed(*fresh));
  EXPECT_FALSE(is_self_signed(**Certificate::from_der({fresh->chain_der().front()}, fresh->key())))
      << "a chain of one is not enough";
  cache.put(a, old);
  for (const CertificatePtr& outcome : {old, own, fresh}) {
    auto client = connect("a.test");
    SSL_set_max_proto_version(client->ssl(), TLS1_2_VERSION);  // whose tickets come at once
    run(*client);
    EXPECT_FALSE(client->done) << "it waits for control's word";
    parking.resume(a, outcome);
    run(*client);
    ASSERT_TRUE(client->done);
    EXPECT_EQ(client->session() != nullptr, outcome == fresh);
  }
  EXPECT_EQ(counts.served.value(), 3u);
  EXPECT_EQ(counts.served_expired.value(), 1u);
}

TEST_F(ClientConnectionTest, ASessionFromBetterTimesIsNotResumedWithAnExpiredCertificate) {
  const WallTime now = TestCa::now();
  cache.put(a, ca().issue({"a.test"}));
  auto before = connect("a.test");
  SSL_set_max_proto_version(before->ssl(), TLS1_2_VERSION);
  run(*before);
  ASSERT_NE(before->session(), nullptr);
  const CertificatePtr old = ca().issue({"a.test"}, now - 48h, now - 24h);
  cache.put(a, old);
  auto client = connect("a.test");
  SSL_set_max_proto_version(client->ssl(), TLS1_2_VERSION);
  SSL_set_session(client->ssl(), before->session());
  run(*client);
  parking.resume(a, old);
  run(*client);
  EXPECT_TRUE(client->done);
  EXPECT_FALSE(SSL_session_reused(client->ssl()));
}

TEST_F(ClientConnectionTest, ControlIsToldOfAUseWhenTheCacheWantsIt) {
  cache.put(a, ca().issue({"a.test"}));
  for (int i = 0; i < 3; ++i) {
    auto client = connect("a.test");
    run(*client);
    EXPECT_TRUE(client->done);
  }
  EXPECT_EQ(used, std::vector<ServerName>{a});
}

TEST_F(ClientConnectionTest, OverABoundTheNewestIsRefusedAndTheBoundIsCounted) {
  fallback = std::make_shared<Fallback>(Fallback{nullptr, ca().issue({"parking.invalid"})});
  std::vector<ParkingBounds::Place> taken;
  const auto fill = [&](const char* name, const char* source) {
    auto place = bounds.take(*ServerName::parse(name), SourcePrefix::of(source));
    taken.push_back(std::get<ParkingBounds::Place>(std::move(place)));
  };
  fill("a.test", "198.51.100.1");
  fill("a.test", "198.51.100.2");
  auto client = connect("a.test");
  run(*client);
  EXPECT_EQ(client->alert, SSL_AD_INTERNAL_ERROR) << "also where there is a parking certificate";
  EXPECT_EQ(counts.overflows_name.value(), 1u);
  fill("b.test", "192.0.2.7");
  fill("b.test", "192.0.2.8");
  fill("c.test", "192.0.2.9");
  auto neighbour = connect("d.test");
  run(*neighbour);
  EXPECT_EQ(neighbour->alert, SSL_AD_INTERNAL_ERROR);
  EXPECT_EQ(counts.overflows_prefix.value(), 1u);
  EXPECT_EQ(counts.park_overflows.value(), 2u);
  EXPECT_EQ(counts.refused_temporary.value(), 2u);
  EXPECT_TRUE(wanted.empty());
}

TEST_F(ClientConnectionTest, ACachedNameIsServedAtOnceAlsoWhenPolicyIsToBeAskedAgain) {
  cache.put(a, ca().issue({"a.test"}), {.recheck_at = TestCa::now() - 1s});
  auto client = connect("a.test");
  run(*client);
  EXPECT_TRUE(client->done);
  EXPECT_EQ(rechecked, std::vector<ServerName>{a});
  auto next = connect("a.test");
  run(*next);
  EXPECT_TRUE(next->done);
  EXPECT_EQ(rechecked.size(), 1u) << "it was said a moment ago";
}

TEST_F(ClientConnectionTest, WithoutANameTheDefaultCertificateIsServedAndNothingIsAsked) {
  fallback = std::make_shared<Fallback>(Fallback{ca().issue({"default.test"}), nullptr});
  auto client = connect("");
  run(*client);
  EXPECT_TRUE(client->done);
  EXPECT_EQ(counts.default_certificate.value(), 1u);
  for (const char* unclean : {"127.0.0.1", "a..test"}) {
    auto other = connect(unclean);
    run(*other);
    EXPECT_EQ(other->alert, SSL_AD_UNRECOGNIZED_NAME) << unclean;
  }
  EXPECT_TRUE(wanted.empty());
}

TEST_F(ClientConnectionTest, TheGrantIsTheNewestAndOutlivesItsCertificateInTheCache) {
  const auto grant = [](const char* upstream) {
    return std::make_shared<const Grant>(Grant{.upstream = upstream});
  };
  cache.put(a, ca().issue({"a.test"}), {.grant = grant("http://one.test")});
  auto client = connect("a.test");
  run(*client);
  ASSERT_TRUE(client->done);
  EXPECT_EQ(connection->grant_of("a.test")->upstream, "http://one.test");
  EXPECT_EQ(connection->grant_of("b.test"), nullptr);
  EXPECT_EQ(connection->grant_of("[::1]"), nullptr);
  cache.set_extras(a, {.grant = grant("http://two.test")});
  EXPECT_EQ(connection->grant_of("a.test")->upstream, "http://two.test");
  cache.set_extras(a, {});
  EXPECT_EQ(connection->grant_of("a.test"), nullptr);
  cache.erase(a);
  EXPECT_EQ(connection->grant_of("a.test")->upstream, "http://one.test");
}

TEST_F(ClientConnectionTest, AWildcardDoesNotUndoTheGrantOfANameThatTheCacheForgot) {
  cache.put(*ServerName::parse("b.test"), ca().issue({"*.b.test"}));
  const ServerName name = *ServerName::parse("x.b.test");
  const Grant one{.upstream = "http://one.test"};
  cache.put(name, ca().issue({"x.b.test"}), {.grant = std::make_shared<const Grant>(one)});
  auto client = connect("x.b.test");
  run(*client);
  ASSERT_TRUE(client->done);
  cache.erase(name);
  ASSERT_NE(cache.find(name), nullptr);
  EXPECT_EQ(connection->grant_of("x.b.test")->upstream, "http://one.test");
  EXPECT_EQ(connection->grant_of("y.b.test"), nullptr);
  cache.put(name, ca().issue({"x.b.test"}));
  EXPECT_EQ(connection->grant_of("x.b.test"), nullptr) << "the policy took it back";
}

TEST_F(ClientConnectionTest, AParkedHandshakeFindsItsGrantBesideTheCertificate) {
  auto client = connect("a.test");
  run(*client);
  const CertificatePtr certificate = ca().issue({"a.test"});
  const Grant grant{.upstream = "http://one.test"};
  cache.put(a, certificate, {.grant = std::make_shared<const Grant>(grant)});
  parking.resume(a, certificate);
  run(*client);
  ASSERT_TRUE(client->done);
  cache.erase(a);
  EXPECT_EQ(connection->grant_of("a.test")->upstream, "http://one.test");
}

TEST_F(ClientConnectionTest, AChallengeIsAnsweredOnlyFromThePendingOnes) {
  static const uint8_t kAlpn[] =
      "\x0a"
      "acme-tls/1";
  auto stranger = connect("a.test");
  SSL_set_alpn_protos(stranger->ssl(), kAlpn, sizeof kAlpn - 1);
  run(*stranger);
  EXPECT_EQ(stranger->alert, SSL_AD_UNRECOGNIZED_NAME);
  EXPECT_TRUE(wanted.empty());

  auto offer = challenges.offer_tls_alpn(a, "token.thumbprint");
  ASSERT_TRUE(offer);
  auto probe = connect("a.test");
  SSL_set_alpn_protos(probe->ssl(), kAlpn, sizeof kAlpn - 1);
  run(*probe);
  EXPECT_TRUE(probe->done);
  EXPECT_EQ(counts.challenges.value(), 1u);
}

TEST_F(ClientConnectionTest, AChallengeForAnAddressComesWithItsReverseName) {
  static const uint8_t kAlpn[] =
      "\x0a"
      "acme-tls/1";
  const std::pair<const char*, const char*> cases[] = {
      {"203.0.113.7", "7.113.0.203.in-addr.arpa"},
      {"2001:db8::7", "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"}};
  for (const auto& [address, sni] : cases) {
    auto offer = challenges.offer_tls_alpn(*ServerName::parse_ip(address), "token.thumbprint");
    ASSERT_TRUE(offer) << offer.error().message;
    auto probe = connect(sni);
    SSL_set_alpn_protos(probe->ssl(), kAlpn, sizeof kAlpn - 1);
    run(*probe);
    EXPECT_TRUE(probe->done) << address;
  }
  EXPECT_EQ(counts.challenges.value(), 2u);
  EXPECT_TRUE(wanted.empty());
}

TEST_F(ClientConnectionTest, AHandshakeHasTenSecondsHoweverItsBytesCome) {
  ManualClock clock;
  tls_now = tls;
  const ClientConnection::Context slow{loop.uv(), clock, shared, tls_now, parking,     rsa_parking,
                                       fallback,  ahead, gather, {},      context.bury};
  std::array<int, 2> fds{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds.data()), 0);
  buried = false;
  connection = std::make_unique<ClientConnection>(slow, fds[0], "192.0.2.1");
  TlsTestClient client(fds[1], "a.test");
  const std::string hello = client.step();
  for (size_t i = 0; i < 10; ++i) {
    EXPECT_FALSE(buried) << i;
    client.send(hello.substr(i, 1));
    turn();
    clock.advance(1s);
  }
  EXPECT_TRUE(buried);
  EXPECT_EQ(counts.hello_timeouts.value(), 1u);
  EXPECT_EQ(counts.failed.value(), 1u);
  connection.reset();
}

TEST_F(ClientConnectionTest, GarbageEndsTheConnection) {
  auto client = connect("a.test");
  client->send("GET / HTTP/1.1\r\n\r\n");
  turn();
  EXPECT_TRUE(buried);
  EXPECT_EQ(counts.failed.value(), 1u);
}

}  // namespace
}  // namespace latchkey::edge
