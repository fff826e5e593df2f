// A CA that tells us to stay away is left alone, resource by resource.

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "tests/acme/holding_pacer.h"
#include "tests/acme/issuer_fixture.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

class ThrottleTest : public IssuerFixture {
 protected:
  ThrottleTest() {
    options.pacer = &pacer;
    restart();
  }
  // As answer(), and notes when the requests came.
  void answer_and_note(std::string part, HttpReply reply, int times = 1'000'000) {
    seen.clear();
    ca.intercept = [this, part, reply, times](const HttpRequest& request, const std::string&) {
      if (request.url.find(part) == std::string::npos) return std::optional<HttpReply>();
      seen.push_back(clock.now());
      const bool hit = static_cast<int>(seen.size()) <= times;
      return hit ? std::optional(reply) : std::nullopt;
    };
  }

  HoldingPacer pacer{clock};
  std::vector<TimePoint> seen;
};

struct Place {
  const char* part;
  Resource resource;
};
constexpr Place kPlaces[] = {
    {"/dir", Resource::kDirectory},        {"/nonce", Resource::kNewNonce},
    {"/account", Resource::kNewAccount},   {"/new-order", Resource::kNewOrder},
    {"/authz/", Resource::kAuthorization}, {"/challenge/", Resource::kChallenge},
    {"/finalize/", Resource::kFinalize},   {"/order/", Resource::kOrder},
    {"/cert/", Resource::kCertificate},
};

TEST_F(ThrottleTest, RetryAfterIsObeyedOnEveryResourceAlsoByARestartedIssuer) {
  for (const int status : {429, 503}) {
    for (const Place& place : kPlaces) {
      SCOPED_TRACE(std::string(place.part) + " " + std::to_string(status));
      pacer.heard.clear();
      store.accounts.clear();
      restart();
      answer_and_note(place.part, throttled(status, "3600"));
      for (int i = 0; i < 20; ++i) {
        const auto outcome = obtain("n" + std::to_string(i % 3) + ".test");
        ASSERT_FALSE(outcome);
        EXPECT_EQ(outcome.error().code, ErrorCode::kThrottled);
        EXPECT_GT(outcome.error().retry_after, 0s);
        EXPECT_LE(outcome.error().retry_after, 3600s);
        EXPECT_EQ(failure->failure, i == 0 && status == 503 && failure->problem
                                        ? FailureClass::kServerInternal
                                        : FailureClass::kRateLimited);
        if (i % 5 == 4) restart();
        clock.advance(170s);
      }
      ASSERT_EQ(seen.size(), 1u) << "nothing before its time";
      ASSERT_EQ(pacer.heard.size(), 1u);
      EXPECT_EQ(pacer.heard[0].resource, place.resource);
      EXPECT_EQ(pacer.heard[0].scope, LimitScope::kResource);
      EXPECT_EQ(pacer.heard[0].wait, 3600s);
      clock.advance(300s);
      ca.intercept = nullptr;
      EXPECT_TRUE(obtain()) << "the hour is over";
    }
  }
}

TEST_F(ThrottleTest, TheFailureCarriesTheThrottleThatTheCaSpokeOf) {
  answer("/new-order", throttled(429, "3600", "too many new orders (300) from this account"));
  ASSERT_FALSE(obtain());
  ASSERT_TRUE(failure->throttle);
  EXPECT_EQ(failure->throttle->scope, LimitScope::kAccount);
  EXPECT_EQ(failure->throttle->wait, 3600s);
  ASSERT_FALSE(obtain());
  EXPECT_FALSE(failure->throttle) << "this time it was our pacer's word";
  EXPECT_EQ(ca.requests["/new-order"], 1);
  EXPECT_THAT(error(), HasSubstr("POST https://ca.test/new-order: held for another"));
}

TEST_F(ThrottleTest, ALimitOfANameOrDomainHoldsNobodyElseOff) {
  const std::pair<const char*, LimitScope> cases[] = {
      {"too many certificates (50) already issued for \"a.test\" in the last 168h0m0s",
       LimitScope::kDomain},
      {"too many certificates (5) already issued for this exact set of identifiers in the last",
       LimitScope::kIdentifiers},
      {"too many failed authorizations (5) for \"a.test\" in the last 1h0m0s",
       LimitScope::kNameFailures},
  };
  for (const auto& [detail, scope] : cases) {
    const HttpReply reply = throttled(429, "3600", detail);
    ca.intercept = [reply](const HttpRequest& request, const std::string& payload) {
      const bool hit =
          request.url.ends_with("/new-order") && payload.find("\"a.test\"") != std::string::npos;
      return hit ? std::optional(reply) : std::nullopt;
    };
    EXPECT_FALSE(obtain("a.test"));
    ASSERT_TRUE(failure->throttle);
    EXPECT_EQ(failure->throttle->scope, scope);
    EXPECT_EQ(failure->throttle->subject, "a.test") << "named by us where the CA does not";
    EXPECT_TRUE(obtain("b.test"));
  }
}

TEST_F(ThrottleTest, A503WithoutRetryAfterIsTroubleAndNoThrottle) {
  answer("/new-order", throttled(503, ""));
  EXPECT_FALSE(obtain());
  EXPECT_TRUE(pacer.heard.empty());
  EXPECT_EQ(failure->failure, FailureClass::kServerInternal);
  EXPECT_FALSE(failure->throttle);
  EXPECT_EQ(issuer->counts().throttled.value(), 0u);
}

TEST_F(ThrottleTest, A429WithoutRetryAfterKeepsUsAwayForAMinute) {
  for (const Place& place : kPlaces) {
    SCOPED_TRACE(place.part);
    store.accounts.clear();
    restart();
    answer_and_note(place.part, throttled(429, ""), 1);
    const TimePoint before = clock.now();
    EXPECT_FALSE(obtain());
    EXPECT_FALSE(obtain());
    EXPECT_LT(clock.now() - before, 50s);
    EXPECT_EQ(seen.size(), 1u);
    clock.advance(61s);
    EXPECT_TRUE(obtain());
  }
}

TEST_F(ThrottleTest, ALittlePatienceSavesAnOrder) {
  for (const char* part : {"/authz/", "/challenge/", "/finalize/", "/order/", "/cert/"}) {
    SCOPED_TRACE(part);
    answer_and_note(part, throttled(429, "7"), 1);
    EXPECT_TRUE(obtain());
    ASSERT_GE(seen.size(), 2u);
    EXPECT_GE(seen[1] - seen[0], 7s);
  }
  EXPECT_EQ(ca.requests["/new-order"], 5);
}

TEST_F(ThrottleTest, WhatChangesSomethingIsTriedOnceMoreOnly) {
  for (const char* part : {"/challenge/", "/finalize/"}) {
    SCOPED_TRACE(part);
    restart();
    answer_and_note(part, throttled(429, "7"), 2);
    EXPECT_FALSE(obtain());
    EXPECT_EQ(seen.size(), 2u);
    EXPECT_EQ(failure->failure, FailureClass::kRateLimited);
    clock.advance(10s);
    answer_and_note(part, throttled(429, "31"), 1);
    EXPECT_FALSE(obtain());
    EXPECT_EQ(seen.size(), 1u) << "that is no little while any more";
    clock.advance(40s);
  }
}

// It is the pacer that asks for patience here: nothing is sent in vain.
TEST_F(ThrottleTest, AShortHoldIsWaitedForBeforeAChallengeAndAFinalization) {
  ASSERT_TRUE(obtain());
  for (const Resource resource : {Resource::kChallenge, Resource::kFinalize}) {
    pacer.hold(resource, 20s);
    EXPECT_TRUE(obtain());
  }
  EXPECT_EQ(ca.requests["/new-order"], 3);
}

TEST_F(ThrottleTest, TheOrdersBesideAThrottledOneArePatientToo) {
  ASSERT_TRUE(obtain("warm.test"));
  answer_and_note("/authz/", throttled(429, "7"), 1);
  std::vector<Task<CertificatePtr>> tasks;
  for (int i = 0; i < 10; ++i) {
    tasks.push_back(issuer->obtain(*ServerName::parse("n" + std::to_string(i) + ".test")));
    tasks.back().start();
    clock.advance(1ms);
  }
  for (auto& task : tasks) run(task, 1min);
  for (auto& task : tasks) {
    ASSERT_TRUE(task.done());
    EXPECT_TRUE(task.outcome()) << task.outcome().error().message;
  }
  const auto early = std::count_if(seen.begin(), seen.end(), [&](TimePoint at) {
    return at > seen[0] + 3ms && at < seen[0] + 7s;  // 3 ms: under way when the answer came
  });
  EXPECT_EQ(early, 0);
}

TEST_F(ThrottleTest, AnOldDirectoryServesWhileTheCaKeepsItFromUs) {
  ASSERT_TRUE(obtain());
  clock.advance(61min);
  answer_and_note("/dir", throttled(429, "3600"));
  for (int i = 0; i < 10; ++i) {
    EXPECT_TRUE(obtain());
    clock.advance(5min);
  }
  EXPECT_EQ(seen.size(), 1u);
  clock.advance(11min);
  ca.intercept = nullptr;
  EXPECT_TRUE(obtain());
  EXPECT_EQ(ca.requests["/dir"], 3);
}

TEST_F(ThrottleTest, AnUnusedNonceIsKept) {
  ASSERT_TRUE(obtain());
  const int before = ca.requests["/nonce"];
  pacer.hold(Resource::kNewOrder, 1h);
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(obtain());
  clock.advance(1h);
  EXPECT_TRUE(obtain());
  EXPECT_EQ(ca.requests["/nonce"], before);
}

TEST_F(ThrottleTest, EveryRequestWaitsForItsTurn) {
  pacer.turn = 100ms;
  const TimePoint before = clock.now();
  ca.reject_nonces = 3;
  ASSERT_TRUE(obtain());
  int sent = 0;
  for (const auto& [kind, count] : ca.requests) sent += count;
  EXPECT_GE(clock.now() - before, sent * 100ms);
}

TEST_F(ThrottleTest, WithoutAPacerTheErrorStillSaysForHowLong) {
  options.pacer = nullptr;
  restart();
  answer("/new-order", throttled(429, "3600"));
  const auto outcome = obtain();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, ErrorCode::kThrottled);
  EXPECT_EQ(outcome.error().retry_after, 3600s);
  EXPECT_EQ(failure->throttle->wait, 3600s);
  EXPECT_EQ(issuer->counts().throttled.value(), 1u);
}

TEST_F(ThrottleTest, ALimitThatStandsInTheOrderIsToldWithTheFailureOnly) {
  const std::string problem =
      FakeAcmeServer::problem(429, "rateLimited",
                              "too many certificates (5) already issued for this exact set of "
                              "identifiers in the last 168h0m0s")
          .body;
  const std::string order = JsonObject()
                                .text("status", "invalid")
                                .raw("authorizations", R"(["https://ca.test/authz/1"])")
                                .text("finalize", "https://ca.test/finalize/1")
                                .raw("error", problem)
                                .str();
  answer("/finalize/", FakeAcmeServer::json(200, order));
  EXPECT_FALSE(obtain());
  EXPECT_EQ(failure->failure, FailureClass::kRateLimited);
  ASSERT_TRUE(failure->throttle);
  EXPECT_EQ(failure->throttle->scope, LimitScope::kIdentifiers);
  EXPECT_EQ(failure->throttle->subject, "a.test");
  EXPECT_TRUE(pacer.heard.empty());
}

// Lets go at every moment, also while it waits for its turn and while it is patient.
TEST_F(ThrottleTest, ItCanBeDroppedAtEveryWait) {
  pacer.turn = 3ms;
  int moments = 0;
  for (bool done = false; !done; ++moments) {
    clock.advance(1min);
    store.accounts.clear();
    restart();
    answer_and_note("/authz/", throttled(429, "1"), 1);
    Task<CertificatePtr> task = issuer->obtain(a);
    task.start();
    for (int i = 0; i < moments && !task.done(); ++i) clock.advance(5ms);
    done = task.done();
    task = {};
    EXPECT_TRUE(nothing_is_offered());
  }
  EXPECT_GT(moments, 200);
  clock.advance(1min);
  EXPECT_EQ(clock.pending(), 0u);
}

}  // namespace
}  // namespace latchkey::acme
