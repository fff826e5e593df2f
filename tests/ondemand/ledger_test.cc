#include "ondemand/ledger.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include "tests/support/fake_store.h"
#include "tests/support/manual_clock.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class LedgerTest : public testing::Test {
 protected:
  void fail(Error error = {ErrorCode::kProtocol, "unauthorized"},
            FailureClass failure = FailureClass::kUnauthorized) {
    Task<> task = ledger.failed(name, failure, std::move(error), "ca");
    task.start();
    clock.advance(10ms);
  }
  // Until the next try; 0: now.
  Millis wait() {
    const FailureRecord* record = ledger.find(name);
    const auto early = record == nullptr ? std::nullopt : ledger.refusal(*record);
    return early ? early->retry_after : Millis(0);
  }

  ManualClock clock;
  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  FakeStore store;
  Ledger ledger{store, clock, log};
  const ServerName name = *ServerName::parse("broken.test");
};

TEST_F(LedgerTest, TheWaitGrowsWithEachFailureInARow) {
  const std::pair<Millis, Millis> bounds[] = {
      {48s, 73s}, {8min, 12min + 1s}, {80min, 120min + 1s}, {24h, 29h}, {24h, 29h}};
  for (const auto& [least, most] : bounds) {
    fail();
    EXPECT_GE(wait(), least);
    EXPECT_LE(wait(), most);
    clock.advance(wait());
    EXPECT_EQ(wait(), Millis(0));
  }
  EXPECT_EQ(ledger.failures(name), 5);
  ASSERT_EQ(store.failures.size(), 1u);
  EXPECT_EQ(store.failures.begin()->second.count, 5);
  EXPECT_EQ(store.failures.begin()->second.issuer, "ca");
}

TEST_F(LedgerTest, NoWaitOfARenewalIsLongerThanItsCapJitterIncluded) {
  for (const Millis longest : {Millis(10s), Millis(30s), Millis(50min), Millis(16h), Millis(24h)}) {
    Ledger own(store, clock, log);
    for (int i = 0; i < 50; ++i) {
      Task<> task = own.failed(name, FailureClass::kUnauthorized,
                               Error{ErrorCode::kProtocol, "unauthorized"}, "ca", longest);
      task.start();
      const Millis left = own.refusal(*own.find(name))->retry_after;
      EXPECT_LE(left, longest);
      EXPECT_EQ(own.next_try(name),
                clock.wall_now() + std::chrono::floor<std::chrono::seconds>(left));
      EXPECT_GE(left, i < 4 ? Millis(1) : longest * 3 / 4);
    }
  }
}

TEST_F(LedgerTest, TheCasWordGoesBeforeTheCap) {
  Task<> task = ledger.failed(name, FailureClass::kUnauthorized,
                              Error{ErrorCode::kThrottled, "later", 5h}, "ca", 30s);
  task.start();
  EXPECT_GE(wait(), Millis(5h));
}

TEST_F(LedgerTest, TheCasWordIsObeyedWhereItIsLonger) {
  fail(Error{ErrorCode::kThrottled, "later", 5h});
  EXPECT_GE(wait(), Millis(5h));
}

TEST_F(LedgerTest, AnotherProcessGoesOnWhereThisOneEnded) {
  fail();
  fail();
  Ledger next(store, clock, log);
  next.learn(name, store.failures.at(name));
  EXPECT_EQ(next.failures(name), 2);
  EXPECT_EQ(next.refusal(*next.find(name))->retry_after, wait());
}

TEST_F(LedgerTest, TroubleOfTheCasIsShortAndNotCounted) {
  fail();
  const Error trouble{ErrorCode::kIo, "no answer"};
  clock.advance(2min);
  ledger.trouble(name, FailureClass::kServerInternal, trouble, "ca");
  EXPECT_LE(wait(), Millis(16s));
  EXPECT_EQ(ledger.failures(name), 1);
  EXPECT_EQ(store.failure_puts, 1);
}

TEST_F(LedgerTest, ARowFromAClockThatWasWrongHoldsNobodyOff) {
  FailureRecord record;
  record.next_try = clock.wall_now() + std::chrono::hours(24 * 365);
  ledger.learn(name, record);
  EXPECT_EQ(wait(), Millis(0));
}

TEST_F(LedgerTest, AClockThatWasSetBackHoldsNobodyOff) {
  fail();
  EXPECT_TRUE(ledger.next_try(name));
  FailureRecord ahead = *ledger.find(name);
  ahead.next_try += std::chrono::hours(24 * 365);
  EXPECT_FALSE(ledger.refusal(ahead));
}

TEST_F(LedgerTest, AStoreThatFailsDoesNotLoseTheWait) {
  store.broken = Error{ErrorCode::kIo, "disk full"};
  fail();
  EXPECT_GT(wait(), Millis(0));
}

TEST_F(LedgerTest, ForgettingIsForMemoryAndDisk) {
  fail();
  Task<> task = ledger.forget(name);
  task.start();
  clock.advance(10ms);
  EXPECT_EQ(ledger.find(name), nullptr);
  EXPECT_TRUE(store.failures.empty());
}

TEST_F(LedgerTest, MessagesAreBounded) {
  fail(Error{ErrorCode::kProtocol, std::string(100'000, 'x')});
  EXPECT_LE(ledger.find(name)->message.size(), 2048u);
}

}  // namespace
}  // namespace latchkey
