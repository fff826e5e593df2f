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
  using Answer = std::function<void(NameState)>;
  // Answers with what it heard, at the request's end; a GET of /now at once, and it reads no bodies
  // of /full.
  class Echo final : public Exchange {
   public:
    Echo(PlainSiteTest& test, RequestHead head, ResponseStream& to)
        : test_(test), head_(std::move(head)), to_(to) {
      test_.echo = this;
    }
    ~Echo() override { test_.echo = nullptr; }
    void start() override {
      test_.order += "start ";
      if (head_.target == "/now") answer_page(to_, 200, "now");
    }
    void on_body(std::string_view bytes) override {
      test_.order += "body ";
      heard_ += bytes;
    }
    void on_request_end(const HeaderList& trailers) override {
      test_.order += "end ";
      const std::string text = head_.method + " " + head_.target + " " + heard_ + " " +
                               (trailers.has("x-t") ? std::string(trailers.get("x-t")) : "none");
      answer_page(to_, 200, text);
    }
    void on_writable() override {}

   private:
    PlainSiteTest& test_;
    const RequestHead head_;
    ResponseStream& to_;
    std::string heard_;
  };

  PlainSiteContext site{challenges,
                        [this](const ServerName& name, Answer done) {
                          if (ask_later) return ask_later(std::move(done));
                          if (name.text() == "old.test") return done(NameState::kPlainOnly);
                          const bool ours = name.text() == "a.test" || name.parent() == "a.test" ||
                                            name.text() == "192.0.2.7" ||
                                            name.text() == "2001:db8::7";
                          done(ours ? NameState::kServed : NameState::kUnknown);
                        },
                        [this](RequestHead head, ResponseStream& to) {
                          return std::make_unique<Echo>(*this, std::move(head), to);
                        }};
  std::function<void(Answer)> ask_later;
  Echo* echo = nullptr;
  std::string order;
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
  Answer answer;
  ask_later = [&](Answer done) { answer = std::move(done); };
  FakeTransport transport;
  {
    Http1Session session(transport, sessions, ClientInfo{"192.0.2.1", false, {}}, [] {});
    transport.say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    transport.deliver();
    EXPECT_EQ(transport.sent, "");
    answer(NameState::kServed);
    EXPECT_EQ(location(std::exchange(transport.sent, {})), "https://a.test/");
    transport.say("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
    transport.deliver();
  }
  answer(NameState::kPlainOnly);
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

TEST_F(PlainSiteTest, AddressesAreNamesOfTheirOwn) {
  const auto v4 = challenges.offer_http(*ServerName::parse_ip("203.0.113.7"), "tok4", "tok4.thumb");
  const auto v6 = challenges.offer_http(*ServerName::parse_ip("2001:db8::9"), "tok6", "tok6.thumb");
  const std::string path = "/.well-known/acme-challenge/";
  for (const char* host : {"203.0.113.7", "203.0.113.7:80", "203.0.113.7."}) {
    EXPECT_TRUE(get(host, path + "tok4").ends_with("\r\n\r\ntok4.thumb")) << host;
    EXPECT_EQ(location(get(host, path + "tok6")), "404") << host;
  }
  for (const char* host : {"[2001:db8::9]", "[2001:DB8:0::9]:80"}) {
    EXPECT_TRUE(get(host, path + "tok6").ends_with("\r\n\r\ntok6.thumb")) << host;
  }
  for (const char* host : {"203.0.113.07", "203.0.113", "[203.0.113.7]", "0xcb.0.113.7"}) {
    EXPECT_FALSE(get(host, path + "tok4").starts_with("HTTP/1.1 200 ")) << host;
  }
  EXPECT_EQ(location(get("192.0.2.7:80", "/x")), "https://192.0.2.7/x");
  EXPECT_EQ(location(get("[2001:db8::7]:80", "/x")), "https://[2001:db8::7]/x");
  EXPECT_EQ(location(get("192.0.2.8", "/x")), "404");
}

TEST_F(PlainSiteTest, ANameWhoseCertificateIsLostIsServedWithoutTls) {
  const std::string answer = get("old.test", "/x?y");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("GET /x?y  none"), std::string::npos) << answer;
  EXPECT_EQ(answer.find("strict-transport"), std::string::npos);
  EXPECT_EQ(location(get("old.test", "/.well-known/acme-challenge/tok")), "404")
      << "challenges are never for the upstream";
  EXPECT_TRUE(get("old.test", "/now").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST_F(PlainSiteTest, WhatCameBeforeTheAnswerGoesAfterIt) {
  const std::string request =
      "POST /p HTTP/1.1\r\nHost: old.test\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3\r\nabc\r\n2\r\nde\r\n0\r\nX-T: v\r\n\r\n";
  const std::string next = "GET /q HTTP/1.1\r\nHost: old.test\r\n\r\n";
  Answer answer;
  ask_later = [&](Answer done) { answer = std::move(done); };
  for (size_t cut = request.find("\r\n\r\n") + 4; cut <= request.size(); ++cut) {
    FakeTransport transport;
    Http1Session session(transport, sessions, ClientInfo{"192.0.2.1", false, {}}, [] {});
    transport.say(request.substr(0, cut));
    transport.deliver();
    EXPECT_EQ(transport.sent, "");
    answer(NameState::kPlainOnly);
    transport.say(request.substr(cut) + next);
    transport.deliver();
    ASSERT_NE(transport.sent.find("POST /p abcde v"), std::string::npos) << cut << transport.sent;
    answer(NameState::kPlainOnly);
    ASSERT_NE(transport.sent.find("GET /q  none"), std::string::npos) << cut << transport.sent;
  }
  ask_later = nullptr;
}

TEST_F(PlainSiteTest, AnAnswerOfTheUpstreamsThatComesAtOnceEndsTheRequest) {
  Answer answer;
  ask_later = [&](Answer done) { answer = std::move(done); };
  FakeTransport transport;
  Http1Session session(transport, sessions, ClientInfo{"192.0.2.1", false, {}}, [] {});
  transport.say("POST /now HTTP/1.1\r\nHost: old.test\r\nContent-Length: 3\r\n\r\nabc");
  transport.deliver();
  answer(NameState::kPlainOnly);
  EXPECT_TRUE(transport.sent.starts_with("HTTP/1.1 200 OK\r\n"));
  EXPECT_EQ(order, "start ") << "it was gone when the body would have come";
  EXPECT_EQ(echo, nullptr);
}

TEST_F(PlainSiteTest, ALargeBodyWaitsForTheAnswerInBoundedMemory) {
  constexpr size_t kSize = 1 << 20;
  Answer answer;
  ask_later = [&](Answer done) { answer = std::move(done); };
  FakeTransport transport;
  transport.max_read = 16 << 10;
  Http1Session session(transport, sessions, ClientInfo{"192.0.2.1", false, {}}, [] {});
  transport.say("POST /p HTTP/1.1\r\nHost: old.test\r\nContent-Length: " + std::to_string(kSize) +
                "\r\n\r\n" + std::string(kSize, 'x'));
  transport.deliver();
  EXPECT_FALSE(transport.want_read);
  EXPECT_GT(transport.incoming.size(), kSize - (256 << 10));
  answer(NameState::kServed);
  EXPECT_TRUE(transport.sent.starts_with("HTTP/1.1 308 "));
}

TEST_F(PlainSiteTest, EverythingMayBeDroppedAtEachMoment) {
  Answer answer;
  ask_later = [&](Answer done) { answer = std::move(done); };
  const std::string request =
      "POST /p HTTP/1.1\r\nHost: old.test\r\nContent-Length: 6\r\n\r\nabcdef";
  for (size_t cut = 1; cut <= request.size(); ++cut) {
    for (const bool answered : {false, true}) {
      FakeTransport transport;
      {
        Http1Session session(transport, sessions, ClientInfo{"192.0.2.1", false, {}}, [] {});
        transport.say(request.substr(0, cut));
        transport.deliver();
        if (answered && answer) answer(NameState::kPlainOnly);
      }
      EXPECT_EQ(echo, nullptr);
      if (answer) std::exchange(answer, nullptr)(NameState::kPlainOnly);
    }
  }
}

TEST(PagesTest, TextIsEscaped) {
  EXPECT_EQ(escape_html("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  EXPECT_NE(page_html(502, "<script>").find("&lt;script&gt;"), std::string::npos);
}

TEST_F(PlainSiteTest, OtherPeoplesChallengesGoOnWhateverTheirHost) {
  const std::string path = "/.well-known/acme-challenge/";
  const auto offer = challenges.offer_http(*ServerName::parse("a.test"), "ours", "ours.thumb");
  EXPECT_EQ(location(get("a.test", path + "theirs")), "404");
  site.other_challenges = [this](RequestHead head, ResponseStream& to) {
    return std::make_unique<Echo>(*this, std::move(head), to);
  };
  for (const char* host :
       {"a.test", "b.test", "203.0.113.7", "[2001:db8::9]", "a_b.test", "x..y"}) {
    const std::string answer = get(host, path + "theirs");
    EXPECT_TRUE(answer.starts_with("HTTP/1.1 200")) << host;
    EXPECT_NE(answer.find("GET " + path + "theirs"), std::string::npos) << answer;
  }
  EXPECT_NE(get("a.test", path + "ours").find("ours.thumb"), std::string::npos) << "ours stay ours";
  EXPECT_TRUE(get("b.test", path + "ours").starts_with("HTTP/1.1 200")) << "another name's";
  EXPECT_TRUE(get("b.test", path + "theirs", "HEAD").starts_with("HTTP/1.1 200"));
}

TEST_F(PlainSiteTest, NothingButATokenReachesTheOtherClient) {
  site.other_challenges = [this](RequestHead head, ResponseStream& to) {
    return std::make_unique<Echo>(*this, std::move(head), to);
  };
  for (const char* target :
       {"", "a/b", "../admin", "%2e%2e", "tok.en", "token?x=1", "token/", "t%20"}) {
    EXPECT_EQ(location(get("a.test", "/.well-known/acme-challenge/" + std::string(target))), "404")
        << target;
  }
  EXPECT_EQ(location(get("a.test", "/.well-known/acme-challenge/token", "POST")), "404");
  EXPECT_EQ(location(get("a.test", "/.well-known/acme-challenges/token")),
            "https://a.test/.well-known/acme-challenges/token");
  EXPECT_EQ(order, "") << "nobody was bothered";
}

}  // namespace
}  // namespace latchkey::edge
