#include "acme/pacer.h"

#include <gtest/gtest.h>

#include <string>

#include "base/json.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;

Problem rate_limited(const std::string& detail) {
  return parse_problem(429, JsonObject()
                                .text("type", "urn:ietf:params:acme:error:rateLimited")
                                .text("detail", detail)
                                .str());
}

// As Let's Encrypt words them, today and formerly.
TEST(ClassifyThrottle, TheSentencesOfBoulderAreKnown) {
  const std::string limits = ": see https://letsencrypt.org/docs/rate-limits/#";
  const struct {
    std::string detail;
    LimitScope scope;
    const char* subject;
  } cases[] = {
      {"too many new orders (300) from this account in the last 3h0m0s, retry after 2026-08-01 "
       "10:00:00 UTC" +
           limits + "new-orders-per-account",
       LimitScope::kAccount, ""},
      {"too many new orders recently: see https://letsencrypt.org/docs/rate-limits/",
       LimitScope::kAccount, ""},
      {"too many certificates (50) already issued for \"traefik.me\" in the last 168h0m0s, retry "
       "after 2025-11-26 09:06:03 UTC" +
           limits + "new-certificates-per-registered-domain",
       LimitScope::kDomain, "traefik.me"},
      {"too many certificates already issued for: Example.ORG: see "
       "https://letsencrypt.org/docs/rate-limits/",
       LimitScope::kDomain, "example.org"},
      {"too many certificates (50) already issued for \"2001:db8::/48\" in the last 168h0m0s, "
       "retry after 2026-11-26 09:06:03 UTC" +
           limits + "new-certificates-per-registered-domain",
       LimitScope::kDomain, "2001:db8::/48"},
      {"too many certificates (5) already issued for this exact set of identifiers in the last "
       "168h0m0s, retry after 2025-09-18 09:13:16 UTC" +
           limits + "new-certificates-per-exact-set-of-identifiers",
       LimitScope::kIdentifiers, "shop.test"},
      {"too many certificates (5) already issued for this exact set of domains in the last "
       "168h0m0s, retry after 2025-03-26 13:10:39 UTC" +
           limits + "new-certificates-per-exact-set-of-hostnames",
       LimitScope::kIdentifiers, "shop.test"},
      {"too many certificates (5) already issued for this exact set of domains in the last 168 "
       "hours: mail.example.com, retry after 2023-03-26T13:10:39Z: see "
       "https://letsencrypt.org/docs/duplicate-certificate-limit/",
       LimitScope::kIdentifiers, "mail.example.com"},
      {"too many certificates already issued for exact set of domains: a.example.com: see "
       "https://letsencrypt.org/docs/rate-limits/",
       LimitScope::kIdentifiers, "a.example.com"},
      {"too many failed authorizations (5) for \"www.example.com\" in the last 1h0m0s, retry after "
       "2026-01-01 00:00:00 UTC" +
           limits + "authorization-failures-per-identifier-per-account",
       LimitScope::kNameFailures, "www.example.com"},
      {"too many failed authorizations recently: see "
       "https://letsencrypt.org/docs/failed-validation-limit/",
       LimitScope::kNameFailures, "shop.test"},
      {"Your account is temporarily prevented from requesting certificates for sol.example.fun and "
       "possibly others. Please visit: https://portal.letsencrypt.org/sfe/v1/unpause?jwt=a.b.c",
       LimitScope::kNameFailures, "sol.example.fun"},
      {"Your account is temporarily prevented from requesting certificates for a.test, b.test and "
       "possibly others. Please visit: https://portal.letsencrypt.org/sfe/v1/unpause?jwt=a.b.c",
       LimitScope::kNameFailures, "a.test"},
      {"too many new registrations (10) from this IP address in the last 3h0m0s, retry after "
       "2026-01-01 00:00:00 UTC" +
           limits + "new-registrations-per-ip-address",
       LimitScope::kResource, ""},
      {"too many new registrations (500) from this /48 subnet of IPv6 addresses in the last "
       "3h0m0s, retry after 2026-01-01 00:00:00 UTC" +
           limits + "new-registrations-per-ipv6-range",
       LimitScope::kResource, ""},
      {"Service busy; retry later.", LimitScope::kResource, ""},
      {"Your request \"new.order\" was refused", LimitScope::kResource, ""},
      {"", LimitScope::kResource, ""},
  };
  for (const auto& c : cases) {
    const Throttle throttle =
        classify_throttle(Resource::kNewOrder, rate_limited(c.detail), "shop.test");
    EXPECT_EQ(throttle.scope, c.scope) << c.detail;
    EXPECT_EQ(throttle.subject, c.subject) << c.detail;
    EXPECT_EQ(throttle.resource, Resource::kNewOrder);
    EXPECT_EQ(throttle.wait, 1min) << "it did not say";
  }
}

TEST(ClassifyThrottle, TheManualsAnchorsAreKnownWhateverTheSentence) {
  const std::pair<const char*, LimitScope> cases[] = {
      {"new-orders-per-account", LimitScope::kAccount},
      {"new-certificates-per-registered-domain", LimitScope::kDomain},
      {"new-certificates-per-exact-set-of-identifiers", LimitScope::kIdentifiers},
      {"new-certificates-per-exact-set-of-hostnames", LimitScope::kIdentifiers},
      {"authorization-failures-per-identifier-per-account", LimitScope::kNameFailures},
      {"authorization-failures-per-hostname-per-account", LimitScope::kNameFailures},
      {"consecutive-authorization-failures-per-identifier-per-account", LimitScope::kNameFailures},
      {"new-registrations-per-ip-address", LimitScope::kResource},
      {"overall-requests-limit", LimitScope::kResource},
      {"something-new", LimitScope::kResource},
  };
  for (const auto& [anchor, scope] : cases) {
    const Problem problem =
        rate_limited(std::string("no: https://letsencrypt.org/docs/rate-limits/#") + anchor);
    EXPECT_EQ(classify_throttle(Resource::kNewOrder, problem).scope, scope) << anchor;
  }
}

TEST(ClassifyThrottle, SubproblemsSayWhatTheDocumentDoesNot) {
  const Problem problem = parse_problem(
      429, R"({"type":"urn:ietf:params:acme:error:rateLimited","detail":"several limits",
      "subproblems":[{"type":"urn:ietf:params:acme:error:rateLimited","detail":"odd"},
      {"type":"urn:ietf:params:acme:error:rateLimited",
       "detail":"too many failed authorizations recently",
       "identifier":{"type":"dns","value":"Sub.Example.com"}}]})");
  const Throttle throttle = classify_throttle(Resource::kNewOrder, problem, "other.test");
  EXPECT_EQ(throttle.scope, LimitScope::kNameFailures);
  EXPECT_EQ(throttle.subject, "sub.example.com");
}

TEST(ClassifyThrottle, AnUntyped429AndABusyServerCountToo) {
  Problem problem = parse_problem(429, "too many new orders");
  EXPECT_EQ(classify_throttle(Resource::kNewOrder, problem).scope, LimitScope::kAccount);
  problem = parse_problem(503, "<html>too many new orders</html>");
  problem.retry_after = 5s;
  const Throttle throttle = classify_throttle(Resource::kChallenge, problem, "a.test");
  EXPECT_EQ(throttle.scope, LimitScope::kResource) << "a server in trouble tells of no limit";
  EXPECT_EQ(throttle.resource, Resource::kChallenge);
  EXPECT_EQ(throttle.subject, "");
  EXPECT_EQ(throttle.wait, 5s);
}

TEST(ClassifyThrottle, WhatIsNoNameIsNoSubject) {
  for (const char* odd : {"\\u0000\\u001b[31m.", "a b.test", "localhost", "", "<script>.x"}) {
    const Problem problem = rate_limited(std::string("too many certificates (50) already issued "
                                                     "for \"") +
                                         odd + "\" in the last");
    const Throttle throttle = classify_throttle(Resource::kNewOrder, problem);
    EXPECT_EQ(throttle.scope, LimitScope::kDomain) << odd;
    EXPECT_EQ(throttle.subject, "") << odd;
  }
  const Problem endless = rate_limited("too many certificates already issued for \"" +
                                       std::string(1000, 'a') + ".test\"");
  EXPECT_EQ(classify_throttle(Resource::kNewOrder, endless).subject, "");
}

TEST(Resource, WordsAreThoseOfDirectories) {
  EXPECT_EQ(to_string(Resource::kDirectory), "directory");
  EXPECT_EQ(to_string(Resource::kNewNonce), "newNonce");
  EXPECT_EQ(to_string(Resource::kNewAccount), "newAccount");
  EXPECT_EQ(to_string(Resource::kNewOrder), "newOrder");
  EXPECT_EQ(to_string(Resource::kCertificate), "certificate");
}

}  // namespace
}  // namespace latchkey::acme
