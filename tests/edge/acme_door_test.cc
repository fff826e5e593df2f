#include "edge/acme_door.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "edge/http/http1_session.h"
#include "edge/plain_site.h"
#include "tests/edge/fake_transport.h"
#include "tests/support/manual_clock.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

class AcmeDoorTest : public testing::Test {
 protected:
  AcmeDoorTest() {
    door->hosts = {"ca.test"};
    door->ask = [this](HttpRequest request, std::string client, Mailbox::Address,
                       AcmeDoor::Done done) {
      asked.push_back({std::move(request), std::move(client), std::move(done)});
    };
  }
  struct OnlyTheCa final : HostRules {
    bool covers(std::string_view host) const override { return host == "ca.test"; }
  };
  // One connection of a client by TLS.
  struct Connection {
    explicit Connection(const SessionContext& context, bool secure = true) {
      ClientInfo client{"192.0.2.1", secure, {}};
      if (secure) client.rules = &rules;
      session = std::make_unique<Http1Session>(transport, context, client, [] {});
    }
    std::string say(const std::string& request) {
      transport.say(request);
      transport.deliver();
      return std::exchange(transport.sent, {});
    }
    OnlyTheCa rules;
    FakeTransport transport;
    std::unique_ptr<Http1Session> session;
  };
  static std::string post(const std::string& body, const std::string& target = "/acme/local/x") {
    return "POST " + target + " HTTP/1.1\r\nHost: ca.test:8443\r\nContent-Type: application/" +
           "jose+json\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
  }
  static bool is(const std::string& answer, int status) {
    return answer.starts_with("HTTP/1.1 " + std::to_string(status) + " ");
  }

  struct Asked {
    HttpRequest request;
    std::string client;
    AcmeDoor::Done done;
  };
  test::TestLoop loop;
  ManualClock clock;
  std::shared_ptr<AcmeDoor> door = std::make_shared<AcmeDoor>();
  std::vector<Asked> asked;
  SessionContext sessions{clock, [this](RequestHead head, ResponseStream& to) {
                            return std::make_unique<AcmeExchange>(door, loop.loop().address(),
                                                                  std::move(head), to);
                          }};
};

TEST_F(AcmeDoorTest, ARequestGoesWholeAndItsAnswerComesBack) {
  Connection client(sessions);
  EXPECT_EQ(client.say(post("{\"a\":1}")), "");
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].request.method, "POST");
  EXPECT_EQ(asked[0].request.url, "https://ca.test:8443/acme/local/x");
  EXPECT_EQ(asked[0].request.body, "{\"a\":1}");
  EXPECT_EQ(asked[0].client, "192.0.2.1");
  EXPECT_EQ(asked[0].request.headers.size(), 1U);
  EXPECT_EQ(asked[0].request.headers[0].first, "content-type");
  EXPECT_EQ(door->waiting, 1U);
  HttpReply reply;
  reply.status = 201;
  reply.headers = {{"location", "https://ca.test:8443/acme/local/acct/1"}, {"replay-nonce", "n"}};
  reply.body = "{}";
  asked[0].done(reply);
  asked.clear();
  const std::string sent = client.transport.sent;
  EXPECT_TRUE(is(sent, 201)) << sent;
  EXPECT_NE(sent.find("replay-nonce: n\r\n"), std::string::npos);
  EXPECT_NE(sent.find("content-length: 2\r\n"), std::string::npos);
  EXPECT_TRUE(sent.ends_with("\r\n\r\n{}"));
  EXPECT_EQ(door->waiting, 0U);
}

TEST_F(AcmeDoorTest, ABodyIsBoundedBeforeAnybodySeesIt) {
  const std::string large(AcmeDoor::kMaxBody + 1, 'x');
  for (const char* hopeless : {"1048577\r\n", "65537\r\nExpect: 100-continue\r\n"}) {
    Connection client(sessions);
    const std::string answer =
        client.say(std::string("POST /acme/local/x HTTP/1.1\r\nHost: ca.test\r\nContent-Length: ") +
                   hopeless + "\r\n");
    EXPECT_TRUE(is(answer, 413)) << answer;
    EXPECT_NE(answer.find("application/problem+json"), std::string::npos);
    EXPECT_NE(answer.find("urn:ietf:params:acme:error:malformed"), std::string::npos);
  }
  {
    Connection client(sessions);
    EXPECT_TRUE(is(client.say(post(large)), 413));
    EXPECT_TRUE(is(client.say(post(large)), 413)) << "on the same connection";
  }
  {
    Connection client(sessions);
    const std::string answer = client.say(
        "POST /acme/local/x HTTP/1.1\r\nHost: ca.test\r\nTransfer-Encoding: chunked\r\n\r\n"
        "10001\r\n" +
        large + "\r\n0\r\n\r\n");
    EXPECT_TRUE(is(answer, 413)) << answer.substr(0, 100);
  }
  EXPECT_TRUE(asked.empty());
  Connection client(sessions);
  client.say(post(large.substr(1)));
  ASSERT_EQ(asked.size(), 1U);
  EXPECT_EQ(asked[0].request.body.size(), AcmeDoor::kMaxBody);
}

TEST_F(AcmeDoorTest, WhoWaitsForA100GetsIt) {
  Connection client(sessions);
  const std::string answer = client.say(
      "POST /acme/local/x HTTP/1.1\r\nHost: ca.test\r\nContent-Length: 2\r\nExpect: "
      "100-continue\r\n\r\n");
  EXPECT_TRUE(is(answer, 100)) << answer;
  client.say("{}");
  EXPECT_EQ(asked.size(), 1U);
}

TEST_F(AcmeDoorTest, TooManyAtOnceAreToldToComeBack) {
  door->waiting = AcmeDoor::kMaxWaiting;
  Connection client(sessions);
  const std::string answer = client.say(post("{}"));
  EXPECT_TRUE(is(answer, 503)) << answer;
  EXPECT_NE(answer.find("retry-after: 1\r\n"), std::string::npos);
  EXPECT_TRUE(asked.empty());
  EXPECT_EQ(door->waiting, AcmeDoor::kMaxWaiting);
  door->waiting = 0;
  client.say(post("{}"));
  EXPECT_EQ(asked.size(), 1U);
}

TEST_F(AcmeDoorTest, WhoLeavesIsForgotten) {
  {
    Connection client(sessions);
    client.say(post("{}"));
    ASSERT_EQ(asked.size(), 1U);
  }
  EXPECT_EQ(door->waiting, 1U) << "the work goes on";
  asked[0].done(HttpReply{});
  asked.clear();
  EXPECT_EQ(door->waiting, 0U);
}

TEST_F(AcmeDoorTest, ThereIsNothingElseOnTheseHosts) {
  Connection client(sessions);
  EXPECT_TRUE(is(client.say("GET / HTTP/1.1\r\nHost: ca.test\r\n\r\n"), 404));
  EXPECT_TRUE(is(client.say("GET /acme HTTP/1.1\r\nHost: ca.test\r\n\r\n"), 404));
  EXPECT_TRUE(is(client.say("GET /acme/local/x HTTP/1.1\r\nHost: b.test\r\n\r\n"), 421));
  EXPECT_TRUE(asked.empty());
}

TEST_F(AcmeDoorTest, AnAnswerToHeadHasNoBody) {
  Connection client(sessions);
  client.say("HEAD /acme/local/new-nonce HTTP/1.1\r\nHost: ca.test\r\n\r\n");
  ASSERT_EQ(asked.size(), 1U);
  HttpReply reply;
  reply.status = 200;
  reply.headers = {{"replay-nonce", "n"}};
  asked[0].done(reply);
  EXPECT_TRUE(client.transport.sent.ends_with("\r\n\r\n")) << client.transport.sent;
  EXPECT_TRUE(is(client.transport.sent, 200));
}

TEST_F(AcmeDoorTest, PlainHttpIsForWhatIsAskedAboutRevocation) {
  acme::ChallengeTable challenges;
  PlainSiteContext site{
      .challenges = challenges,
      .may_be_served = [](const ServerName&,
                          std::function<void(NameState)> done) { done(NameState::kServed); },
      .authority = door,
      .about_revocation = [this](RequestHead head,
                                 ResponseStream& to) -> std::unique_ptr<Exchange> {
        return std::make_unique<AcmeExchange>(door, loop.loop().address(), std::move(head), to);
      }};
  SessionContext plain{clock, [&site](RequestHead head, ResponseStream& to) {
                         return std::make_unique<PlainSite>(site, std::move(head), to);
                       }};
  const auto status = [&](const std::string& host, const std::string& target) {
    Connection client(plain, false);
    const std::string answer =
        client.say("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n\r\n");
    return answer.empty() ? "asked" : answer.substr(9, 3);
  };
  EXPECT_EQ(status("ca.test", "/acme/local/crl/1"), "asked");
  EXPECT_EQ(asked.back().request.url, "http://ca.test/acme/local/crl/1");
  EXPECT_EQ(status("CA.test:80", "/acme/local/issuer/2"), "asked");
  EXPECT_EQ(status("ca.test", "/acme/local/ocsp/MEow"), "asked");
  EXPECT_EQ(asked.size(), 3U);
  EXPECT_EQ(status("ca.test", "/acme/local/directory"), "308");
  EXPECT_EQ(status("ca.test", "/acme/local/ocspx"), "308");
  EXPECT_EQ(status("ca.test", "/acme/crl/1"), "308");
  EXPECT_EQ(status("other.test", "/acme/local/crl/1"), "308");
  Connection client(plain, false);
  client.say(post("question", "/acme/local/ocsp"));
  EXPECT_EQ(asked.size(), 4U);
  EXPECT_EQ(asked.back().request.body, "question");
}

}  // namespace
}  // namespace latchkey::edge
