#pragma once
// An AccountKeeper between a scripted CA, a store in memory and a clock that the test moves.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "acme/account.h"
#include "acme/certificate_requests.h"
#include "tests/acme/fake_acme_server.h"
#include "tests/support/fake_store.h"
#include "tests/support/manual_clock.h"

namespace latchkey::acme {

class AccountFixture : public ::testing::Test {
 protected:
  AccountFixture() {
    store.clock = &clock;
    store.delay = Millis(1);
    options.issuer = "fake";
    options.account_lost = [this](const std::string& url) { lost.push_back(url); };
    restart();
  }
  ~AccountFixture() override { EXPECT_THAT(ca.broken_rules, ::testing::IsEmpty()); }

  // A new process with the same store.
  void restart() {
    requests.reset();
    accounts.reset();
    client.emplace(FakeAcmeServer::kDirectory, ca, clock, log, counts);
    accounts.emplace(options, *client, store, log);
    requests.emplace(*client, *accounts, log);
  }

  template <typename T>
  Result<T> run(Task<T> task, Millis limit = Millis(300'000)) {
    task.start();
    const TimePoint end = clock.now() + limit;
    while (!task.done() && clock.now() < end) clock.advance(Millis(1));
    if (!task.done()) return Error{ErrorCode::kTimeout, "the test gave up"};
    return task.outcome();
  }
  AccountOutcome get() {
    Result<AccountOutcome> outcome = run(accounts->get());
    EXPECT_TRUE(outcome);
    return *outcome;
  }
  std::string url() {
    const AccountOutcome outcome = get();
    return outcome.account ? (*outcome.account)->url : outcome.account.error().message;
  }
  template <typename T>
  static std::string error(const Result<T>& result) {
    return result ? "it worked" : result.error().message;
  }
  // Does the CA accept a request of that account?
  bool works(const AccountPtr& account) {
    AcmeRequest request{Resource::kAccount, account->key, account->url, account->url};
    const Result<AcmeReply> reply = run(client->post(std::move(request)));
    return reply && !reply->problem;
  }
  AccountRecord& record() { return store.accounts[FakeAcmeServer::kDirectory]; }
  // Answers requests whose URL contains `part`.
  void answer(std::string part, HttpReply reply) {
    ca.intercept = [part, reply](const HttpRequest& request,
                                 const std::string&) -> std::optional<HttpReply> {
      if (request.url.find(part) == std::string::npos) return std::nullopt;
      return reply;
    };
  }

  ManualClock clock;
  ChallengeTable challenges;
  FakeAcmeServer ca{clock, challenges};
  FakeStore store;
  Log log{2, Log::Format::kText, LogLevel::kError};
  AcmeCounts counts;
  AccountKeeper::Options options;
  std::vector<std::string> lost;  // what account_lost was told
  std::optional<AcmeClient> client;
  std::optional<AccountKeeper> accounts;
  std::optional<CertificateRequests> requests;
};

}  // namespace latchkey::acme
