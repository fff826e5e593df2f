// The ACME server, request by request.

#include "tests/acme/authority_server_fixture.h"

namespace latchkey::acme {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class AcmeServerTest : public AcmeServerFixture {};

TEST_F(AcmeServerTest, TheDirectoryHasTheUrlsOfItsOwnHost) {
  const HttpReply reply = get(url("/directory"));
  EXPECT_EQ(200, reply.status);
  EXPECT_EQ(url("/new-nonce"), text(reply, "newNonce"));
  EXPECT_EQ(url("/new-account"), text(reply, "newAccount"));
  EXPECT_EQ(url("/new-order"), text(reply, "newOrder"));
  EXPECT_EQ(url("/revoke-cert"), text(reply, "revokeCert"));
  EXPECT_EQ(url("/key-change"), text(reply, "keyChange"));
  EXPECT_EQ(url("/renewal-info"), text(reply, "renewalInfo"));
  const HttpReply other = get("http://127.0.0.1/acme/local/directory");
  EXPECT_EQ("http://127.0.0.1/acme/local/new-nonce", text(other, "newNonce"));
}

TEST_F(AcmeServerTest, NoncesComeByHeadAndGetAndAreNotCached) {
  const HttpReply head = get(url("/new-nonce"), "HEAD");
  const HttpReply reply = get(url("/new-nonce"));
  EXPECT_EQ(200, head.status);
  EXPECT_EQ(204, reply.status);
  EXPECT_EQ("no-store", head.header("cache-control"));
  EXPECT_TRUE(is_base64url(head.header("replay-nonce")));
  EXPECT_NE(head.header("replay-nonce"), reply.header("replay-nonce"));
  EXPECT_EQ("<" + url("/directory") + ">;rel=\"index\"", head.header("link"));
}

TEST_F(AcmeServerTest, ACertificateIsHadInOneGo) {
  const User user = sign_up();
  const HttpReply made = order(user, {"a.test"});
  EXPECT_EQ(201, made.status);
  EXPECT_EQ("pending", text(made, "status"));
  const HttpReply answered = prove(user, made);
  EXPECT_EQ(200, answered.status);
  EXPECT_THAT(answered.body, HasSubstr("valid"));
  const std::string at(made.header("location"));
  EXPECT_EQ("ready", text(post(user, at, ""), "status"));
  const HttpReply finalized = post(user, text(made, "finalize"), finalization(csr("a.test")));
  EXPECT_EQ("valid", text(finalized, "status")) << finalized.body;
  const HttpReply chain = post(user, text(finalized, "certificate"), "");
  EXPECT_EQ(200, chain.status);
  EXPECT_EQ("application/pem-certificate-chain", chain.header("content-type"));
  EXPECT_THAT(chain.body, StartsWith("-----BEGIN CERTIFICATE-----\n"));
  EXPECT_EQ(1, store.issued_puts);
}

}  // namespace
}  // namespace latchkey::acme
