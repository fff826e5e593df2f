#pragma once
// An AcmeIssuer between a scripted CA, a store in memory and a clock that the test moves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>

#include "acme/issuer.h"
#include "tests/acme/fake_acme_server.h"
#include "tests/support/fake_store.h"
#include "tests/support/manual_clock.h"

namespace latchkey::acme {

class IssuerFixture : public ::testing::Test {
 protected:
  IssuerFixture() {
    store.clock = &clock;
    store.delay = Millis(1);
    options.name = "fake";
    options.directory = FakeAcmeServer::kDirectory;
    ca.dns = &dns;
    restart();
  }
  ~IssuerFixture() override { EXPECT_THAT(ca.broken_rules, ::testing::IsEmpty()); }

  void restart() { issuer.emplace(options, ca, clock, store, challenges, log); }

  // A wildcard, too.
  IssuanceJob job(const std::string& name = "a.test") {
    IssuanceJob made{name.starts_with("*.") ? *ServerName::parse_wildcard(name)
                                            : *ServerName::parse(name)};
    made.on_failure = [this](const IssuanceFailure& f) { failure = f; };
    return made;
  }
  // Runs until it is done, or `limit` of test time has passed.
  Result<CertificatePtr> obtain(const std::string& name = "a.test",
                                Millis limit = Millis(20 * 60'000)) {
    return obtain(job(name), limit);
  }
  Result<CertificatePtr> obtain(IssuanceJob wanted, Millis limit = Millis(20 * 60'000)) {
    failure.reset();
    Task<CertificatePtr> task = issuer->obtain(std::move(wanted));
    task.start();
    run(task, limit);
    if (!task.done()) return Error{ErrorCode::kTimeout, "the test gave up"};
    return task.outcome();
  }
  void run(Task<CertificatePtr>& task, Millis limit) {
    const TimePoint end = clock.now() + limit;
    while (!task.done() && clock.now() < end) {
      clock.advance(clock.now().time_since_epoch() < Millis(5000) ? Millis(1) : Millis(100));
    }
  }
  std::string error(const std::string& name = "a.test") {
    const auto outcome = obtain(name);
    return outcome ? "it was obtained" : outcome.error().message;
  }
  static HttpReply throttled(int status, const std::string& retry_after,
                             const std::string& detail = "slow down") {
    HttpReply reply = FakeAcmeServer::problem(status, "rateLimited", detail);
    if (status == 503) reply = FakeAcmeServer::json(503, "");
    if (!retry_after.empty()) reply.headers.emplace_back("retry-after", retry_after);
    return reply;
  }
  // Answers requests whose URL contains `part` with `reply`, from the `after`th on.
  void answer(std::string part, HttpReply reply, int times = 1'000'000) {
    auto left = std::make_shared<int>(times);
    ca.intercept = [part, reply, left](const HttpRequest& request,
                                       const std::string&) -> std::optional<HttpReply> {
      if (request.url.find(part) == std::string::npos || (*left)-- <= 0) return std::nullopt;
      return reply;
    };
  }
  bool nothing_is_offered() {
    for (int token = 0; token < 200; ++token) {
      if (challenges.find_http(a, "token" + std::to_string(token))) return false;
    }
    return challenges.find_tls_alpn(a) == nullptr;
  }

  const ServerName a = *ServerName::parse("a.test");
  ManualClock clock;
  ChallengeTable challenges;
  FakeProver dns{clock};
  FakeAcmeServer ca{clock, challenges};
  FakeStore store;
  Log log{2, Log::Format::kText, LogLevel::kError};
  IssuerOptions options;
  std::optional<IssuanceFailure> failure;
  std::optional<AcmeIssuer> issuer;
};

}  // namespace latchkey::acme
