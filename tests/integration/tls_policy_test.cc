// `tls`: taken at a reload, told to upstreams, and no way around it. Certificates sent compressed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/client_ca.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

using ::testing::HasSubstr;

TEST(TlsPolicyTest, AReloadAsksClientsForCertificatesAndRaisesTheVersion) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  ASSERT_EQ(site.visit("a.test").answer.status, 200);
  TlsClient before = site.connect("a.test");
  HttpConversation talk(before);
  EXPECT_EQ(talk.get("a.test").status, 200);
  const TlsSession session = before.session();

  const ClientCa clients;
  write_text(site.folder / "clients.pem", clients.pem());
  site.edge.settings.tls = R"({"min_version": "1.3", "client_certificates": {
      "ca_file": ")" + (site.folder / "clients.pem").string() +
                           R"(", "hosts": ["a.test"]}})";
  ASSERT_EQ(site.edge.reload(), "reloaded") << site.edge.log();
  EXPECT_EQ(talk.get("a.test").status, 421) << "a connection from before";
  TlsOptions with = site.tls("a.test");
  with.session = session;
  {
    TlsClient stranger(with);
    EXPECT_EQ(HttpConversation(stranger).get("a.test").status, 0) << "by a session from before";
  }
  with.session = nullptr;
  with.own = clients.issue({});
  TlsClient known(with);
  EXPECT_EQ(HttpConversation(known).get("a.test").status, 200);
  EXPECT_EQ(site.upstream.seen().back().header("x-client-cert-subject"), "CN=Alice");
  with.only_tls12 = true;
  EXPECT_FALSE(TlsClient(with).handshake().done);
  EXPECT_EQ(site.visit("b.test").answer.status, 200) << "whose clients nobody asks";

  const JsonValue status = site.edge.admin_json("GET", "/status");
  const JsonValue* const handshakes = status.find("handshakes");
  ASSERT_NE(handshakes, nullptr);
  EXPECT_EQ(handshakes->find("verified_clients")->number, 1);
  EXPECT_EQ(handshakes->find("refused_clients")->number, 1);
  EXPECT_EQ(handshakes->find("refused_version")->number, 1);

  write_text(site.folder / "clients.pem", "none");
  EXPECT_EQ(site.edge.reload(), "reload_failed");
  EXPECT_TRUE(site.edge.logged("reload_failed", "clients.pem: it holds no certificate"));
  TlsClient still(site.tls("a.test"));
  EXPECT_EQ(HttpConversation(still).get("a.test").status, 0);
  ASSERT_TRUE(site.edge.terminate());
  site.edge.launch();
  EXPECT_TRUE(site.edge.expect_end());
  EXPECT_THAT(site.edge.log(), HasSubstr("clients.pem: it holds no certificate"));
}

}  // namespace
}  // namespace latchkey::test
