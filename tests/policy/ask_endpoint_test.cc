#include "policy/ask_endpoint.h"

#include <algorithm>

#include "tests/policy/ask_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class AskEndpointTest : public AskFixture {};

TEST_F(AskEndpointTest, AsksByCaddysContract) {
  ask("shop.example.com");
  ASSERT_EQ(http.open(), 1u);
  const HttpRequest& request = http.request();
  EXPECT_EQ(request.method, "GET");
  EXPECT_EQ(request.url, "http://127.0.0.1:8000/check?domain=shop.example.com");
  EXPECT_EQ(request.timeout, 2s);
  EXPECT_EQ(request.max_body, 16u << 10);
  EXPECT_TRUE(request.truncate_body);
  EXPECT_TRUE(request.headers.empty());
  EXPECT_EQ(request.body, "");
}

TEST_F(AskEndpointTest, AddsTheNameToWhateverUrlThereIs) {
  const std::pair<const char*, const char*> cases[] = {
      {"http://h.test", "http://h.test?domain=a.test"},
      {"http://h.test/?", "http://h.test/?domain=a.test"},
      {"http://h.test/x?key=1", "http://h.test/x?key=1&domain=a.test"},
      {"http://h.test/x?key=1&", "http://h.test/x?key=1&domain=a.test"},
      {"http://h.test/x?key=1#part", "http://h.test/x?key=1&domain=a.test"},
      {"http://h.test/x#what?", "http://h.test/x?domain=a.test"},
  };
  for (const auto& [url, asked] : cases) {
    make({.url = url});
    ask("a.test");
    EXPECT_EQ(http.request().url, asked);
  }
}

TEST_F(AskEndpointTest, SaysWhyItAsksWhereThatIsWanted) {
  const std::pair<AskReason, const char*> cases[] = {
      {AskReason::kIssue, "issue"}, {AskReason::kRenew, "renew"}, {AskReason::kServe, "serve"}};
  for (const auto& [reason, word] : cases) {
    make({.url = "http://h.test/x", .send_reason = true});
    ask("a.test", reason);
    EXPECT_EQ(http.request().url, std::string("http://h.test/x?domain=a.test&reason=") + word);
    make({.url = "http://h.test/x"});
    ask("a.test", reason);
    EXPECT_EQ(http.request().url, "http://h.test/x?domain=a.test");
  }
}

TEST_F(AskEndpointTest, SendsItsToken) {
  make({.url = "https://h.test/", .bearer_token = "s3cret"});
  ask("a.test");
  ASSERT_EQ(http.request().headers.size(), 1u);
  EXPECT_EQ(http.request().headers[0].first, "Authorization");
  EXPECT_EQ(http.request().headers[0].second, "Bearer s3cret");
  http.answer(0, 401);
  EXPECT_NE(logged().find("token_file"), std::string::npos) << logged();
  EXPECT_EQ(logged().find("s3cret"), std::string::npos) << logged();
}

TEST_F(AskEndpointTest, EveryStatusMeansWhatTheDesignSays) {
  log.set_rate_limit(false);
  make({.url = "http://h.test", .breaker = kNeverOpens});
  for (int status = 0; status < 1000; ++status) {
    Verdict expected = Verdict::kUnknown;
    if (status >= 200 && status < 300) expected = Verdict::kAllow;
    if (status >= 400 && status < 500) expected = Verdict::kDeny;
    for (const int unknown : {401, 405, 407, 408, 425, 429}) {
      if (status == unknown) expected = Verdict::kUnknown;
    }
    const Decision decision = answered(status);
    EXPECT_EQ(decision.verdict, expected) << status;
    EXPECT_EQ(decision.reason, "the ask endpoint answered " + std::to_string(status));
  }
  EXPECT_EQ(endpoint->counts().calls.value(), 1000u);
  EXPECT_EQ(endpoint->counts().allowed.value(), 100u);
  EXPECT_EQ(endpoint->counts().denied.value(), 94u);
  EXPECT_EQ(endpoint->counts().unknown.value(), 806u);
}

TEST_F(AskEndpointTest, NoAnswerIsNotADenial) {
  make({.url = "http://h.test", .breaker = kNeverOpens});
  for (const ErrorCode code : {ErrorCode::kTimeout, ErrorCode::kIo, ErrorCode::kProtocol,
                               ErrorCode::kInvalid, ErrorCode::kNotFound}) {
    const Decision decision = answered(Error{code, "GET http://h.test: broken"});
    EXPECT_EQ(decision.verdict, Verdict::kUnknown);
    EXPECT_EQ(decision.reason, "GET http://h.test: broken");
  }
}

TEST_F(AskEndpointTest, AnErrorLineNamesEndpointNameAndRemedyButNoSecret) {
  make({.url = "https://user:pw@h.test:8/check?key=secret"});
  answered(302);
  const std::string line = logged();
  EXPECT_NE(line.find("\"ask_failed\""), std::string::npos) << line;
  EXPECT_NE(line.find("https://...@h.test:8/check?...\""), std::string::npos) << line;
  EXPECT_NE(line.find("a.test"), std::string::npos) << line;
  EXPECT_NE(line.find("redirects are not followed: set on_demand.ask.url"), std::string::npos);
  EXPECT_EQ(line.find("secret"), std::string::npos) << line;
  EXPECT_EQ(line.find("pw"), std::string::npos) << line;
}

TEST_F(AskEndpointTest, ErrorLinesAreRateLimited) {
  make({.url = "http://h.test", .breaker = kNeverOpens});
  for (int i = 0; i < 500; ++i) answered(500);
  const std::string lines = logged();
  EXPECT_LE(std::count(lines.begin(), lines.end(), '\n'), 30);
}

TEST_F(AskEndpointTest, SoManyAskAtOnceAndTheRestInOrder) {
  make({.url = "http://h.test", .max_concurrent = 2});
  for (const char* name : {"a.test", "b.test", "c.test", "d.test"}) ask(name);
  EXPECT_EQ(http.open(), 2u);
  clock.advance(500ms);
  http.answer(1, 200);  // b
  clock.advance(0ms);
  ASSERT_EQ(http.open(), 2u);
  EXPECT_EQ(http.request(1).url, "http://h.test?domain=c.test");
  EXPECT_EQ(http.request(1).timeout, 1500ms);  // what waiting left of it
  http.answer(0, 404);                         // a
  clock.advance(0ms);
  EXPECT_EQ(http.request(1).url, "http://h.test?domain=d.test");
  http.answer(0, 200);
  http.answer(0, 200);
  EXPECT_EQ(decided(asks[0]).verdict, Verdict::kDeny);
  for (size_t i = 1; i < 4; ++i) EXPECT_EQ(decided(asks[i]).verdict, Verdict::kAllow);
}

TEST_F(AskEndpointTest, AQuestionThatWaitedTooLongIsUnknown) {
  make({.url = "http://h.test", .timeout = 1s, .max_concurrent = 1});
  ask("a.test");
  auto& late = ask("b.test");
  clock.advance(999ms);
  EXPECT_FALSE(late.done());
  clock.advance(1ms);
  EXPECT_EQ(decided(late).verdict, Verdict::kUnknown);
  EXPECT_NE(logged().find("max_concurrent"), std::string::npos) << logged();
  EXPECT_EQ(endpoint->counts().calls.value(), 1u);
  http.answer(0, 200);
  ask("c.test");
  EXPECT_EQ(http.open(), 1u);
}

TEST_F(AskEndpointTest, DroppedBeforeItsStartNothingIsAsked) {
  { const Task<AskOutcome> never = endpoint->ask(*ServerName::parse("a.test")); }
  EXPECT_EQ(http.open(), 0u);
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(AskEndpointTest, DroppedWhileItWaitsItLeavesTheQueue) {
  make({.url = "http://h.test", .max_concurrent = 1});
  ask("a.test");
  ask("b.test");
  ask("c.test");
  asks.erase(asks.begin() + 1);
  http.answer(0, 200);
  clock.advance(0ms);
  ASSERT_EQ(http.open(), 1u);
  EXPECT_EQ(http.request().url, "http://h.test?domain=c.test");
}

TEST_F(AskEndpointTest, DroppedWhileItAsksItFreesItsPlace) {
  make({.url = "http://h.test", .max_concurrent = 1});
  ask("a.test");
  ask("b.test");
  asks.pop_front();
  EXPECT_EQ(http.open(), 0u);
  clock.advance(0ms);
  ASSERT_EQ(http.open(), 1u);
  EXPECT_EQ(http.request().url, "http://h.test?domain=b.test");
  asks.clear();
  EXPECT_EQ(http.open(), 0u);
  clock.advance(1h);
  EXPECT_EQ(clock.pending(), 0u);
}

}  // namespace
}  // namespace latchkey
