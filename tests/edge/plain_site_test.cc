#include "edge/plain_site.h"

#include <gtest/gtest.h>

#include <optional>

#include "edge/http/http1_session.h"
#include "edge/pages.h"
#include "tests/edge/fake_transport.h"
#include "tests/support/manual_clock.h"

namespace latchkey::edge {
namespace {

class PlainSiteTest : public testing::Test {
 protected:
  std::string get(std::string_view host, std::string_view target, std::string_view method = "GET") {
    FakeTransport transport;
    Http1Session session(transport, sessions, ClientInfo{"192.0.2.1", false, {}}, [] {});
    transport.say(std::string(method) + " " + std::string(target) +
                  " HTTP/1.1\r\nHost: " + std::string(host) + "\r\n\r\n");
    transport.deliver();
    return transport.sent;
  }
  static std::string location(const std::string& answer) {
    const size_t at = answer.find("\r\nlocation: ");
    if (at == std::string::npos) return answer.substr(9, 3);
    return answer.substr(at + 12, answer.find("\r\n", at + 2) - at - 12);
  }

  ManualClock clock;
  acme::ChallengeTable challenges;
  PlainSiteContext site{challenges, [this](const ServerName& name, std::function<void(bool)> done) {
                          if (ask_later) return ask_later(std::move(done));
                          done(name.text() == "a.test" || name.parent() == "a.test");
                        }};
  std::function<void(std::function<void(bool)>)> ask_later;
  SessionContext sessions{clock, [this](RequestHead head, ResponseStream& to) {
                            return std::make_unique<PlainSite>(site, std::move(head), to);
                          }};
};

TEST_F(PlainSiteTest, VisitorsOfOurNamesAreSentToHttps) {
  EXPECT_TRUE(get("a.test", "/x?y=z").starts_with("HTTP/1.1 308 Permanent Redirect\r\n"));
  EXPECT_EQ(location(get("a.test", "/x?y=z")), "https://a.test/x?y=z");
  EXPECT_EQ(location(get("B.a.TEST.:80", "/")), "https://b.a.test/");
  EXPECT_EQ(location(get("a.test", "*", "OPTIONS")), "https://a.test/");
  EXPECT_EQ(location(get("a.test", "http://a.test/abs", "POST")), "https://a.test/abs");
  EXPECT_EQ(location(get("a.test", "//evil.test/")), "https://a.test//evil.test/");
  site.https_port = 8443;
  EXPECT_EQ(location(get("a.test", "/")), "https://a.test:8443/");
}

TEST_F(PlainSiteTest, OtherNamesAreNot) {
  for (const char* host : {"b.test", "a.test.evil.test", "127.0.0.1", "[::1]", "a_b.a.test"}) {
    EXPECT_EQ(location(get(host, "/")), "404") << host;
  }
}

TEST_F(PlainSiteTest, AnAnswerMayComeLaterOrTooLate) {
  std::function<void(bool)> answer;
  ask_later = [&](std::function<void(bool)> done) { answer = std::move(done); };
  FakeTransport transport;
  {
    Http1Session session(transport, sessions, ClientInfo{"192.0.2.1", false, {}}, [] {});
    transport.say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    transport.deliver();
    EXPECT_EQ(transport.sent, "");
    answer(true);
    EXPECT_EQ(location(std::exchange(transport.sent, {})), "https://a.test/");
    transport.say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    transport.deliver();
  }
  answer(true);
  EXPECT_EQ(transport.sent, "");
}

TEST_F(PlainSiteTest, ChallengesAreAnsweredForTheirNameOnly) {
  const auto offer =
      challenges.offer_http(*ServerName::parse("new.test"), "tok-En_1", "tok-En_1.thumb");
  const std::string path = "/.well-known/acme-challenge/";
  const std::string answer = get("new.test", path + "tok-En_1");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(answer.ends_with("\r\n\r\ntok-En_1.thumb"));
  EXPECT_TRUE(get("new.test", path + "tok-En_1", "HEAD").ends_with("\r\n\r\n"));
  EXPECT_EQ(location(get("new.test", path + "tok-En_1", "POST")), "404");
  for (const std::string& token :
       {std::string(), std::string("other"), std::string("tok-En_1/"), std::string("tok-En_1?x"),
        std::string("../tok-En_1"), std::string("tok%2dEn_1"), std::string(257, 'a')}) {
    EXPECT_EQ(location(get("new.test", path + token)), "404") << token;
  }
  EXPECT_EQ(location(get("a.test", path + "tok-En_1")), "404") << "another name's";
}

TEST(PagesTest, TextIsEscaped) {
  EXPECT_EQ(escape_html("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  EXPECT_NE(page_html(502, "<script>").find("&lt;script&gt;"), std::string::npos);
}

}  // namespace
}  // namespace latchkey::edge
