#include "edge/acme_host.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>

#include "acme/ocsp.h"
#include "tests/acme/authority_fixture.h"

namespace latchkey::edge {
namespace {

class NoProbes final : public acme::Probes {
 public:
  Task<HttpReply> get(std::string) override { co_return none(); }
  Task<std::string> acme_tls(ServerName, uint16_t) override { co_return none(); }
  Task<std::vector<std::string>> txt(std::string) override { co_return none(); }

 private:
  static Error none() { return {ErrorCode::kIo, "there is no network"}; }
};

class AcmeHostTest : public acme::AuthorityFixture {
 protected:
  static constexpr const char* kStatusUrl = "http://ca.test:8080/acme/local";

  HttpReply ask(const std::string& url, const std::string& method = "GET",
                const std::string& body = "") {
    HttpRequest request;
    request.method = method;
    request.url = url;
    request.body = body;
    auto reply = outcome_of(host.answer(std::move(request), "192.0.2.1"));
    EXPECT_TRUE(reply);
    return reply ? *std::move(reply) : HttpReply();
  }
  static bool is_problem(const HttpReply& reply, int status) {
    return reply.status == status && reply.header("content-type") == "application/problem+json" &&
           reply.body.find("urn:ietf:params:acme:error:") != std::string::npos;
  }

  std::unique_ptr<acme::Authority> authority = start({}, true, kStatusUrl);
  acme::Authority second{{.name = "second"}, store, clock, log};
  NoProbes probes;
  acme::AcmeServer server{
      {.allows = [](const ServerName&) { return true; }}, *authority, store, probes, clock, log};
  AcmeHost host{{authority.get(), &second}, *authority, server};
};

TEST_F(AcmeHostTest, TheServerIsThereByHttpsForItsAuthorityOnly) {
  EXPECT_EQ(ask("https://ca.test/acme/local/directory").status, 200);
  EXPECT_TRUE(is_problem(ask("http://ca.test/acme/local/directory"), 404));
  EXPECT_TRUE(is_problem(ask("https://ca.test/acme/second/directory"), 404));
  EXPECT_TRUE(is_problem(ask("https://ca.test/acme/third/directory"), 404));
  EXPECT_TRUE(is_problem(ask("https://ca.test/acme/"), 404));
  EXPECT_TRUE(is_problem(ask("https://ca.test"), 404));
}

TEST_F(AcmeHostTest, SignersAndTheirListsAreDocuments) {
  for (const auto& signer : authority->signers()) {
    const std::string id = std::to_string(signer.id);
    const HttpReply crl = ask("http://ca.test/acme/local/crl/" + id + "?x=1");
    EXPECT_EQ(crl.status, 200);
    EXPECT_EQ(crl.header("content-type"), "application/pkix-crl");
    const HttpReply issuer = ask("https://ca.test/acme/local/issuer/" + id);
    EXPECT_EQ(issuer.status, 200);
    EXPECT_EQ(issuer.header("content-type"), "application/pkix-cert");
    EXPECT_EQ(issuer.body, *authority->issuer_certificate(signer.id));
  }
  for (const char* wrong : {"crl/999", "crl/", "crl/x", "crl/1/2", "issuer/999", "issuer/-"}) {
    EXPECT_TRUE(is_problem(ask(std::string("http://ca.test/acme/local/") + wrong), 404)) << wrong;
  }
  const HttpReply refused = ask("http://ca.test/acme/local/crl/1", "POST");
  EXPECT_TRUE(is_problem(refused, 405));
  EXPECT_EQ(refused.header("allow"), "GET, HEAD");
}

TEST_F(AcmeHostTest, OcspIsAskedByGetAndByPost) {
  const acme::Chain chain = *outcome_of(authority->issue(request("shop.a.test")));
  const CertificatePtr certificate = *Certificate::from_der(chain, leaf_key);
  EXPECT_EQ(certificate->ocsp_responder(), std::string(kStatusUrl) + "/ocsp");
  const std::string question = *acme::make_ocsp_request(*certificate);
  const auto get_url = acme::ocsp_get_url(certificate->ocsp_responder(), question);
  ASSERT_TRUE(get_url);
  const auto good = [&](const HttpReply& reply) {
    EXPECT_EQ(reply.status, 200);
    EXPECT_EQ(reply.header("content-type"), "application/ocsp-response");
    const auto judged = acme::judge_ocsp_response(reply.body, *certificate, clock.wall_now());
    return judged && judged->status == acme::CertStatus::kGood;
  };
  EXPECT_TRUE(good(ask(*get_url)));
  EXPECT_TRUE(good(ask(certificate->ocsp_responder(), "POST", question)));
  EXPECT_TRUE(is_problem(ask(certificate->ocsp_responder()), 405));
  EXPECT_TRUE(is_problem(ask(*get_url, "POST"), 405));
  EXPECT_TRUE(is_problem(ask(certificate->ocsp_responder() + "/%zz"), 400));
  EXPECT_TRUE(is_problem(ask(certificate->ocsp_responder() + "/!!!"), 400));
  EXPECT_EQ(ask(certificate->ocsp_responder(), "POST", "no request").status, 200)
      << "whose answer says so";
}

TEST_F(AcmeHostTest, AStoreThatFailsIsTriedAgainLater) {
  const std::string id = std::to_string(authority->signers().front().id);
  store.broken = Error{ErrorCode::kIo, "reading /secret/path: disk full"};
  const HttpReply reply = ask("http://ca.test/acme/local/crl/" + id);
  EXPECT_TRUE(is_problem(reply, 503));
  EXPECT_NE(reply.header("retry-after"), "");
  EXPECT_EQ(reply.body.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace latchkey::edge
