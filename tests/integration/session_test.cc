// Session tickets belong to a name.
#include <gtest/gtest.h>

#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

class SessionTest : public ::testing::TestWithParam<bool> {
 protected:
  SessionTest() { site.edge.settings.allow = {"a.test", "b.test"}; }

  TlsOptions tls(const std::string& name, TlsSession session = nullptr) {
    TlsOptions options = site.tls(name);
    options.only_tls12 = GetParam();
    options.session = std::move(session);
    return options;
  }
  TlsSession visit(const std::string& name) {
    TlsClient client(tls(name));
    EXPECT_TRUE(client.handshake().verified) << client.handshake().error;
    EXPECT_EQ(HttpConversation(client).get(name).status, 200);
    return client.session();
  }

  Site site;
};

TEST_P(SessionTest, ATicketIsResumedForItsNameOnly) {
  ASSERT_TRUE(site.edge.start());
  const TlsSession session = visit("a.test");
  ASSERT_TRUE(session);
  TlsClient same(tls("a.test", session));
  EXPECT_TRUE(same.handshake().resumed) << same.handshake().error;
  EXPECT_EQ(HttpConversation(same).get("a.test").body, "page of a.test /");

  visit("b.test");
  TlsClient other(tls("b.test", session));
  EXPECT_TRUE(other.handshake().verified) << other.handshake().error;
  EXPECT_FALSE(other.handshake().resumed);
  EXPECT_EQ(HttpConversation(other).get("b.test").body, "page of b.test /");
}

TEST_P(SessionTest, ATicketOfOneNameDoesNotSpareAnotherItsFirstHandshake) {
  ASSERT_TRUE(site.edge.start());
  const TlsSession session = visit("a.test");
  TlsClient other(tls("b.test", session));
  EXPECT_TRUE(other.handshake().verified) << other.handshake().error;
  EXPECT_FALSE(other.handshake().resumed);
}

TEST_P(SessionTest, ATicketIsRefusedOnceAFullHandshakeWouldBe) {
  site.edge.settings.max_certificates = 1;
  ASSERT_TRUE(site.edge.start());
  const TlsSession session = visit("a.test");
  visit("b.test");  // puts a.test out of the memory
  StoreFile(site.database()).forget("a.test");
  site.edge.settings.allow = {"b.test"};
  ASSERT_EQ(site.edge.reload(), "reloaded");
  const TlsClient full(tls("a.test"));
  EXPECT_EQ(full.handshake().alert, alert::kUnrecognizedName) << full.handshake().error;
  const TlsClient again(tls("a.test", session));
  EXPECT_FALSE(again.handshake().done);
  EXPECT_EQ(again.handshake().alert, alert::kUnrecognizedName) << again.handshake().error;
}

INSTANTIATE_TEST_SUITE_P(Versions, SessionTest, ::testing::Bool(),
                         [](const auto& test) { return test.param ? "Tls12" : "Tls13"; });

}  // namespace
}  // namespace latchkey::test
