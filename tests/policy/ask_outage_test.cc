#include <algorithm>

#include "tests/policy/ask_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class AskOutageTest : public AskFixture {
 protected:
  HttpReply reply(int status, std::string header = "", std::string value = "") {
    HttpReply made;
    made.status = status;
    if (!header.empty()) made.headers.emplace_back(std::move(header), std::move(value));
    return made;
  }
  void fail(int times) {
    for (int i = 0; i < times; ++i) EXPECT_EQ(answered(500).verdict, Verdict::kUnknown);
  }
  // Asked now, is it unknown at once, without a call and without a timer?
  ::testing::AssertionResult refused_at_once() {
    const size_t alarms = clock.pending();
    auto& task = ask("a.test");
    if (http.open() > 0) return ::testing::AssertionFailure() << "it was asked";
    if (clock.pending() != alarms) return ::testing::AssertionFailure() << "a timer runs";
    if (!task.done()) return ::testing::AssertionFailure() << "it waits";
    const Decision decision = decided(task);
    if (decision.verdict != Verdict::kUnknown) return ::testing::AssertionFailure() << "decided";
    if (decision.retry_after <= 0ms) return ::testing::AssertionFailure() << "no retry_after";
    return ::testing::AssertionSuccess();
  }
  size_t lines(std::string_view event) const {
    const std::string text = logged();
    size_t count = 0;
    for (size_t at = text.find(event); at != text.npos; at = text.find(event, at + 1)) ++count;
    return count;
  }
};

TEST_F(AskOutageTest, AfterFiveUnknownsInARowNobodyIsAsked) {
  fail(4);
  EXPECT_FALSE(endpoint->out_of_order());
  fail(1);
  EXPECT_TRUE(endpoint->out_of_order());
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(refused_at_once());
  EXPECT_EQ(endpoint->counts().calls.value(), 5u);
  EXPECT_EQ(endpoint->counts().unknown.value(), 105u);
  EXPECT_EQ(endpoint->counts().not_asked.value(), 100u);
  EXPECT_EQ(decided(asks.back()).retry_after, 2s);
  EXPECT_EQ(decided(asks.back()).reason,
            "the ask endpoint is out of order: the ask endpoint answered 500");
}

TEST_F(AskOutageTest, AYesOrANoBreaksTheRow) {
  for (const int status : {200, 403, 404}) {
    fail(4);
    answered(status);
  }
  fail(4);
  EXPECT_FALSE(endpoint->out_of_order());
}

TEST_F(AskOutageTest, EveryKindOfUnknownCounts) {
  answered(302);
  answered(401);
  answered(429);
  answered(Error{ErrorCode::kIo, "no connection"});
  answered(Error{ErrorCode::kTimeout, "too late"});
  EXPECT_TRUE(endpoint->out_of_order());
}

TEST_F(AskOutageTest, OneProbeEveryTwoSecondsWhateverBecomesOfIt) {
  fail(5);
  for (int i = 0; i < 10; ++i) {
    clock.advance(1999ms);
    EXPECT_TRUE(refused_at_once());
    clock.advance(1ms);
    auto& probe = ask("p.test");
    ASSERT_EQ(http.open(), 1u);
    auto& other = ask("b.test");
    EXPECT_TRUE(other.done());
    EXPECT_EQ(http.open(), 1u) << "only the probe goes out";
    if (i % 2 == 0) {
      http.answer(0, 500);
      EXPECT_EQ(decided(probe).verdict, Verdict::kUnknown);
    } else {
      asks.clear();  // its visitor left
    }
  }
  EXPECT_EQ(endpoint->counts().calls.value(), 15u);
}

TEST_F(AskOutageTest, AProbeThatHangsIsAloneToo) {
  make({.url = "http://h.test", .timeout = 10s});
  fail(5);
  clock.advance(10s);
  ask("p.test");
  ASSERT_EQ(http.open(), 1u);
  clock.advance(9'999ms);
  ask("b.test");
  EXPECT_EQ(http.open(), 1u);
}

TEST_F(AskOutageTest, AnAnswerToTheProbeEndsTheOutage) {
  for (const int status : {200, 403}) {
    fail(5);
    clock.advance(2s);
    EXPECT_EQ(answered(status).verdict, status == 200 ? Verdict::kAllow : Verdict::kDeny);
    EXPECT_FALSE(endpoint->out_of_order());
    for (int i = 0; i < 10; ++i) EXPECT_EQ(answered(200).verdict, Verdict::kAllow);
  }
}

TEST_F(AskOutageTest, AnOutageIsOneLineAtItsBeginningAndOneAtItsEnd) {
  log.set_rate_limit(false);
  make({.url = "http://user:pw@h.test/check?key=secret", .bearer_token = "s3cret"});
  fail(5);
  for (int i = 0; i < 100; ++i) {
    clock.advance(2s);
    fail(1);
  }
  EXPECT_EQ(lines("\"ask_unavailable\""), 1u);
  EXPECT_EQ(lines("\"ask_available\""), 0u);
  EXPECT_EQ(lines("\"ask_failed\""), 5u) << "a probe that fails like the last one is no news";
  clock.advance(2s);
  answered(401);
  EXPECT_EQ(lines("\"ask_failed\""), 6u);
  clock.advance(2s);
  answered(200);
  answered(200);
  EXPECT_EQ(lines("\"ask_unavailable\""), 1u);
  EXPECT_EQ(lines("\"ask_available\""), 1u);
  EXPECT_NE(logged().find("answers again, after 204s"), std::string::npos) << logged();
  fail(5);
  EXPECT_EQ(lines("\"ask_unavailable\""), 2u);
  EXPECT_EQ(logged().find("s3cret"), std::string::npos);
  EXPECT_EQ(logged().find("secret"), std::string::npos);
  EXPECT_EQ(logged().find("pw@"), std::string::npos);
}

TEST_F(AskOutageTest, RetryAfterIsObeyed) {
  for (const int status : {429, 503}) {
    make({.url = "http://h.test"});
    EXPECT_EQ(answered(reply(status, "retry-after", "60")).retry_after, 60s);
    EXPECT_TRUE(endpoint->out_of_order());
    clock.advance(59'999ms);
    EXPECT_TRUE(refused_at_once());
    clock.advance(1ms);
    ask("a.test");
    ask("b.test");
    EXPECT_EQ(http.open(), 2u) << "it was no outage";
    http.answer(0, 200);
    http.answer(0, 200);
  }
  EXPECT_EQ(lines("\"ask_unavailable\""), 2u);
  EXPECT_EQ(lines("\"ask_available\""), 2u);
}

TEST_F(AskOutageTest, RetryAfterIsReadAsTheRfcHasIt) {
  const std::pair<const char*, Millis> cases[] = {
      {"0", 0ms},
      {"7", 7s},
      {"300", 5min},
      {"301", 5min},
      {"99999999999999999999", 5min},
      {"-1", 0ms},
      {"soon", 0ms},
      {"", 0ms},
      {"1.5", 0ms},
      {"Mon, 01 Jan 2001 00:00:00 GMT", 0ms},
      {"Fri, 31 Dec 2100 23:59:59 GMT", 5min},
  };
  for (const auto& [value, wait] : cases) {
    make({.url = "http://h.test"});
    EXPECT_EQ(answered(reply(503, "retry-after", value)).retry_after, wait) << value;
  }
  make({.url = "http://h.test"});
  EXPECT_EQ(answered(reply(500, "retry-after", "60")).retry_after, 0ms) << "not of a 500";
  EXPECT_EQ(answered(reply(403, "retry-after", "60")).verdict, Verdict::kDeny);
}

TEST_F(AskOutageTest, AHoldSurvivesAnswersThatWereUnderWay) {
  ask("a.test");
  ask("b.test");
  http.answer(0, reply(429, "retry-after", "60"));
  http.answer(0, 200);
  EXPECT_EQ(decided(asks[1]).verdict, Verdict::kAllow);
  EXPECT_TRUE(refused_at_once());
  clock.advance(60s);
  EXPECT_EQ(answered(200).verdict, Verdict::kAllow);
  EXPECT_EQ(lines("\"ask_available\""), 1u);
}

TEST_F(AskOutageTest, NoPlaceAtTheTurnstileIsUnknownButNoFailureOfTheEndpoint) {
  make({.url = "http://h.test", .timeout = 1s, .max_concurrent = 1});
  ask("slow.test");
  for (int i = 0; i < 10; ++i) ask("a.test");
  clock.advance(1s);
  for (size_t i = 1; i <= 10; ++i) EXPECT_EQ(decided(asks[i]).verdict, Verdict::kUnknown);
  EXPECT_FALSE(endpoint->out_of_order());
  EXPECT_EQ(endpoint->counts().unknown.value(), 10u);
  EXPECT_EQ(endpoint->counts().not_asked.value(), 0u);
}

TEST_F(AskOutageTest, AQuestionThatWaitedForMostOfItsTimeProvesNothingByATimeout) {
  make({.url = "http://h.test", .timeout = 1s, .max_concurrent = 1});
  for (int i = 0; i < 10; ++i) {
    ask("slow.test");
    auto& late = ask("late.test");
    clock.advance(900ms);
    http.answer(0, 200);
    clock.advance(0ms);
    ASSERT_EQ(http.open(), 1u);
    EXPECT_EQ(http.request().timeout, 100ms);
    http.answer(0, Error{ErrorCode::kTimeout, "took over 100 ms"});
    EXPECT_EQ(decided(late).verdict, Verdict::kUnknown);
  }
  EXPECT_FALSE(endpoint->out_of_order());
}

TEST_F(AskOutageTest, WhoWaitsWhenItOpensIsToldSoon) {
  make({.url = "http://h.test", .max_concurrent = 5});
  for (int i = 0; i < 20; ++i) ask("a.test");
  EXPECT_EQ(http.open(), 5u);
  for (int i = 0; i < 5; ++i) http.answer(0, 500);
  clock.advance(0ms);
  for (int i = 0; i < 20; ++i) clock.advance(0ms);
  for (auto& task : asks) EXPECT_EQ(decided(task).verdict, Verdict::kUnknown);
  EXPECT_EQ(endpoint->counts().calls.value(), 5u);
}

TEST_F(AskOutageTest, LateFailuresPutOffNoProbe) {
  make({.url = "http://h.test"});
  for (int i = 0; i < 10; ++i) ask("a.test");
  for (int i = 0; i < 5; ++i) http.answer(0, 500);
  clock.advance(1900ms);
  for (int i = 0; i < 5; ++i) http.answer(0, 500);
  clock.advance(100ms);
  ask("p.test");
  EXPECT_EQ(http.open(), 1u);
}

TEST_F(AskOutageTest, AnswersCarryTimeAndGrant) {
  HttpReply yes = reply(200, "cache-control", "private");
  yes.headers.emplace_back("cache-control", "max-age=60");
  yes.body = R"({"upstream": "http://10.0.0.7:3000"})";
  auto& a = ask("a.test");
  http.answer(0, yes);
  ASSERT_TRUE(a.done());
  EXPECT_EQ(a.outcome()->ttl, 60s);
  EXPECT_EQ(a.outcome()->status, 200);
  ASSERT_NE(a.outcome()->decision.grant, nullptr);
  EXPECT_EQ(a.outcome()->decision.grant->upstream, "http://10.0.0.7:3000");
  EXPECT_EQ(a.outcome()->decision.source, VerdictSource::kAsk);
  yes.body = R"({"ttl": 7})";  // goes before max-age
  auto& b = ask("b.test");
  http.answer(0, yes);
  EXPECT_EQ(b.outcome()->ttl, 7s);
  EXPECT_EQ(b.outcome()->decision.grant, nullptr);
  HttpReply no = reply(404, "cache-control", "max-age=9");
  no.body = R"({"ttl": 7, "upstream": "http://a"})";
  auto& c = ask("c.test");
  http.answer(0, no);
  EXPECT_EQ(c.outcome()->ttl, 9s);
  EXPECT_EQ(c.outcome()->status, 404);
  EXPECT_EQ(c.outcome()->decision.grant, nullptr) << "a denial grants nothing";
}

TEST_F(AskOutageTest, ABadAnswerAllowsIsCountedAndLoggedWithTheName) {
  HttpReply yes = reply(200, "content-type", "application/json");
  yes.body = "{\"ttl\": \"x\", \"tenant\": \"t\"}";
  auto& a = ask("bad.test");
  http.answer(0, yes);
  EXPECT_EQ(decided(a).verdict, Verdict::kAllow);
  EXPECT_EQ(decided(a).grant->tenant, "t");
  yes.body = "{{{";
  EXPECT_EQ(answered(yes).verdict, Verdict::kAllow);
  EXPECT_EQ(endpoint->counts().bad_answers.value(), 2u);
  EXPECT_EQ(endpoint->counts().allowed.value(), 2u);
  EXPECT_EQ(lines("\"ask_bad_answer\""), 2u);
  EXPECT_NE(logged().find("bad.test"), std::string::npos);
  for (int i = 0; i < 500; ++i) answered(yes);
  EXPECT_LE(lines("\"ask_bad_answer\""), 25u);
}

}  // namespace
}  // namespace latchkey
