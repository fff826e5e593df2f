// The CA's look at a domain, with real DNS, web servers and TLS servers.

#include "edge/authority_probes.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "acme/authority/validation.h"
#include "acme/base64url.h"
#include "acme/challenges.h"
#include "acme/jws.h"
#include "base/text.h"
#include "tests/support/challenge_dns.h"
#include "tests/support/challenge_responder.h"
#include "tests/support/fd.h"
#include "tests/support/http_server.h"
#include "tests/support/ports.h"
#include "tests/support/process.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

using acme::ChallengeType;
using namespace std::chrono_literals;

constexpr const char* kKeyAuthorization = "token-1.thumbprint-1";

ServerName name(const std::string& text) {
  auto address = ServerName::parse_ip(text);
  return address ? *address : *ServerName::parse(text);
}

class AuthorityProbesTest : public ::testing::Test {
 protected:
  acme::ValidationResult look(ChallengeType type, const std::string& whose,
                              std::optional<uint16_t> port = std::nullopt) {
    acme::Validation what{type, name(whose), "token-1", kKeyAuthorization};
    what.http_port = port.value_or(responder_.http_port());
    what.tls_port = port.value_or(responder_.tls_port());
    const auto result = loop_.finish(acme::validate(what, probes_, loop_.clock()));
    EXPECT_TRUE(result);
    return result ? *result : acme::ValidationResult();
  }

  test::TempFolder folder_;
  test::ChallengeDns dns_{folder_.path()};
  acme::ChallengeTable challenges_;
  test::ChallengeResponder responder_{challenges_};
  test::TestLoop loop_;
  AuthorityProbes probes_{loop_.uv(), loop_.clock(), dns_.address()};
};

TEST_F(AuthorityProbesTest, AWebServerProvesNamesAndAddresses) {
  for (const char* whose : {"a.test", "127.0.0.1"}) {
    const auto offer = challenges_.offer_http(name(whose), "token-1", kKeyAuthorization);
    EXPECT_TRUE(look(ChallengeType::kHttp01, whose).valid);
  }
  const auto result = look(ChallengeType::kHttp01, "a.test");
  EXPECT_EQ(result.type, "unauthorized");
  EXPECT_NE(result.detail.find("404"), std::string::npos) << result.detail;
}

TEST_F(AuthorityProbesTest, AWebServerProvesAnIpv6Address) {
  const test::Fd listener(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_addr = in6addr_loopback;
  socklen_t size = sizeof address;
  auto* const generic = reinterpret_cast<sockaddr*>(&address);
  if (bind(listener.get(), generic, size) != 0) GTEST_SKIP() << "this machine has no ::1";
  ASSERT_EQ(listen(listener.get(), 1), 0);
  ASSERT_EQ(getsockname(listener.get(), generic, &size), 0);
  std::thread server([&listener] {
    const test::Fd client(accept(listener.get(), nullptr, nullptr));
    char request[4096];
    if (read(client.get(), request, sizeof request) <= 0) return;
    const std::string answer =
        "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n" + std::string(kKeyAuthorization);
    if (write(client.get(), answer.data(), answer.size()) < 0) return;
  });
  const auto result = look(ChallengeType::kHttp01, "::1", ntohs(address.sin6_port));
  EXPECT_TRUE(result.valid) << result.detail;
  shutdown(listener.get(), SHUT_RDWR);  // in case that nobody came
  server.join();
}

// A cloud's metadata service is nobody's domain.
TEST_F(AuthorityProbesTest, LinkLocalAddressesAreNotLookedAt) {
  for (const char* whose : {"169.254.169.254", "fe80::1"}) {
    for (const ChallengeType type : {ChallengeType::kHttp01, ChallengeType::kTlsAlpn01}) {
      const auto result = look(type, whose, 80);
      EXPECT_EQ(result.type, "dns");
      EXPECT_NE(result.detail.find("link-local"), std::string::npos) << result.detail;
    }
  }
}

TEST_F(AuthorityProbesTest, ATlsServerProvesNamesAndAddresses) {
  for (const char* whose : {"a.test", "127.0.0.1"}) {
    {
      const auto offer = challenges_.offer_tls_alpn(name(whose), kKeyAuthorization);
      const auto result = look(ChallengeType::kTlsAlpn01, whose);
      EXPECT_TRUE(result.valid) << result.detail;
    }
    const auto other = challenges_.offer_tls_alpn(name(whose), "token-1.thumbprint-2");
    const auto result = look(ChallengeType::kTlsAlpn01, whose);
    EXPECT_EQ(result.type, "unauthorized") << result.detail;
  }
  const auto nothing = look(ChallengeType::kTlsAlpn01, "a.test");
  EXPECT_EQ(nothing.type, "tls") << nothing.detail;
}

// As lego makes them.
TEST_F(AuthorityProbesTest, ACertificateWhoseKeyMustNotSignIsStillLookedAt) {
  const std::string files = folder_ / "server";
  const std::string digest = "DER:0420" + to_hex(acme::sha256(kKeyAuthorization));
  test::Process::Options made;
  made.args = {"openssl",  "req",
               "-x509",    "-newkey",
               "rsa:2048", "-nodes",
               "-subj",    "/CN=x",
               "-keyout",  files + ".key",
               "-out",     files + ".pem",
               "-addext",  "subjectAltName=DNS:a.test",
               "-addext",  "keyUsage=keyEncipherment",
               "-addext",  "1.3.6.1.5.5.7.1.31=critical," + digest};
  made.output = folder_ / "openssl.log";
  const test::ProgramEnded ended = test::run_to_end(std::move(made));
  ASSERT_EQ(ended.code, 0) << ended.output;
  const test::ReservedPort port{test::ReservedPort::Hold::kFree};
  test::Process::Options server;
  server.args = {
      "openssl",      "s_server", "-accept",     "127.0.0.1:" + std::to_string(port.number()),
      "-www",         "-alpn",    "acme-tls/1",  "-cert",
      files + ".pem", "-key",     files + ".key"};
  server.output = folder_ / "server.log";
  test::Process process(std::move(server));
  ASSERT_TRUE(process.wait_for_line("ACCEPT", 20s));
  const auto result = look(ChallengeType::kTlsAlpn01, "a.test", port.number());
  EXPECT_TRUE(result.valid) << result.detail;
}

TEST_F(AuthorityProbesTest, RecordsBehindCnamesProveANameButNotAnEndlessChainOfThem) {
  const std::string proof = acme::base64url(acme::sha256(kKeyAuthorization));
  EXPECT_EQ(look(ChallengeType::kDns01, "a.test").type, "unauthorized");
  dns_.add_txt("_acme-challenge.a.test", "another");
  dns_.add_txt("_acme-challenge.a.test", proof);
  EXPECT_TRUE(look(ChallengeType::kDns01, "a.test").valid);
  dns_.add_cname("_acme-challenge.b.test", "b.elsewhere.test");
  dns_.add_cname("b.elsewhere.test", "_proof.elsewhere.test");
  dns_.add_txt("_proof.elsewhere.test", proof);
  const auto behind = look(ChallengeType::kDns01, "b.test");
  EXPECT_TRUE(behind.valid) << behind.detail;
  dns_.add_cname("_acme-challenge.c.test", "_acme-challenge.c.test");
  EXPECT_FALSE(look(ChallengeType::kDns01, "c.test").valid);
  dns_.fail("_acme-challenge.d.test");
  const auto failed = look(ChallengeType::kDns01, "d.test");
  EXPECT_EQ(failed.type, "dns") << failed.detail;
}

TEST_F(AuthorityProbesTest, WhatCannotBeLookedAtIsSaidWithNameAndAddress) {
  dns_.fail("gone.test");
  const test::ReservedPort closed;
  for (const ChallengeType type : {ChallengeType::kHttp01, ChallengeType::kTlsAlpn01}) {
    const auto unknown = look(type, "gone.test");
    EXPECT_EQ(unknown.type, "dns") << unknown.detail;
    EXPECT_NE(unknown.detail.find("gone.test"), std::string::npos) << unknown.detail;
    const auto refused = look(type, "a.test", closed.number());
    EXPECT_EQ(refused.type, "connection") << refused.detail;
    EXPECT_NE(refused.detail.find("a.test"), std::string::npos) << refused.detail;
    EXPECT_NE(refused.detail.find("127.0.0.1"), std::string::npos) << refused.detail;
  }
}

TEST_F(AuthorityProbesTest, AnAnswerWithoutEndIsCut) {
  test::HttpServer server([](const test::Request&) {
    test::Response response;
    response.endless = true;
    return response;
  });
  const auto reply =
      loop_.finish(probes_.get("http://a.test:" + std::to_string(server.port()) + "/"));
  ASSERT_TRUE(reply) << reply.error().message;
  EXPECT_EQ(reply->body.size(), 64u << 10);
}

TEST_F(AuthorityProbesTest, ALookMayBeDroppedAtAnyMoment) {
  test::HttpServer silent([](const test::Request&) {
    test::Response response;
    response.hang = true;
    return response;
  });
  for (int turns = 0; turns < 20; ++turns) {
    Task<std::string> by_tls = probes_.acme_tls(name("a.test"), silent.port());
    Task<HttpReply> by_http = probes_.get("http://a.test:" + std::to_string(silent.port()) + "/");
    Task<std::vector<std::string>> by_dns = probes_.txt("a.test");
    by_tls.start();
    by_http.start();
    by_dns.start();
    for (int i = 0; i < turns; ++i) loop_.turn();
    EXPECT_FALSE(by_tls.done());
    EXPECT_FALSE(by_http.done());
  }
}

}  // namespace
}  // namespace latchkey::edge
