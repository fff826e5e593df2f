// When the CA has a word on it (RFC 9773).
#include "tests/ondemand/renewals_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class RenewalsAdviceTest : public RenewalsTest {
 protected:
  // What the CA says from now on.
  void advise(WallTime from, WallTime to, Millis poll_after = 6h) {
    const RenewalAdvice said = window(from, to, poll_after);
    first.advice = [said](const Certificate&) -> Result<RenewalAdvice> { return said; };
  }
  // No two polls of one certificate are closer than that.
  void expect_apart(std::chrono::seconds interval) {
    std::map<std::string, WallTime> last;
    for (const auto& [serial, at] : first.polls) {
      const auto before = last.find(serial);
      if (before != last.end()) {
        EXPECT_GE(at - before->second, interval);
      }
      last[serial] = at;
    }
  }
};

TEST_F(RenewalsAdviceTest, TheCaIsAskedAtOnceAndAgainWhenItSaid) {
  add("a.listed.test");
  advise(now() + Days(50), now() + Days(51), 3h);
  start();
  clock.advance(1min);
  ASSERT_EQ(first.polls.size(), 1u);
  EXPECT_EQ(first.polls[0].first, info("a.listed.test").serial);
  const WallTime chosen = plan("a.listed.test").renew_at;
  EXPECT_GE(chosen, now() + Days(50) - 1min);
  EXPECT_LE(chosen, now() + Days(51));
  clock.advance(24h);
  EXPECT_EQ(first.polls.size(), 9u);
  expect_apart(3h);
  EXPECT_EQ(plan("a.listed.test").renew_at, chosen) << "chosen once";
  stop();
  start();  // and kept over a restart
  clock.advance(chosen - now() - 1min);
  EXPECT_EQ(orders(), 0u);
  clock.advance(2min);
  EXPECT_EQ(orders(), 1u);
  expect_apart(3h);
}

TEST_F(RenewalsAdviceTest, ACaWithoutIsNotAskedAgain) {
  add("a.listed.test");
  start();
  clock.advance(50 * 24h);
  EXPECT_EQ(first.polls.size(), 1u);
  EXPECT_EQ(plan("a.listed.test").poll_at, RenewalPlan::kNever);
}

TEST_F(RenewalsAdviceTest, AWindowThatHasPassedRenewsAtOnce) {
  add("a.listed.test");
  advise(now() - Days(2), now() - Days(1));
  start();
  clock.advance(5s);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsAdviceTest, ACaThatWantsEveryNewCertificateRenewedIsFollowedEverMoreSlowly) {
  add("a.listed.test");
  advise(now() - Days(2), now() - Days(1));
  start();
  clock.advance(24h);
  EXPECT_GE(orders(), 4u);
  EXPECT_LE(orders(), 8u);
  clock.advance(6 * 24h);
  EXPECT_LE(orders(), 16u);
}

TEST_F(RenewalsAdviceTest, AWindowThatMovesForwardIsSeenAtTheNextPoll) {
  add("a.listed.test");
  advise(now() + Days(50), now() + Days(51));
  start();
  clock.advance(24h);
  // An incident at the CA's.
  first.advice = [this, bad = info("a.listed.test").serial, was = plan("a.listed.test").window](
                     const Certificate& certificate) -> Result<RenewalAdvice> {
    if (certificate.serial() != bad) return window(was->start, was->end);
    return window(now() - 2h, now() - 1h);
  };
  clock.advance(6h + 1min);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsAdviceTest, FarAndEmptyWindowsLeaveWhatTheLifeSays) {
  for (const auto& [from, to] :
       {std::pair{Days(3000), Days(3001)}, std::pair{Days(10), Days(10)}}) {
    add("a.listed.test");
    first.polls.clear();
    advise(now() + from, now() + to);
    start();
    clock.advance(24h);
    const auto left = info("a.listed.test").end - plan("a.listed.test").renew_at;
    EXPECT_GE(left, Days(28));
    EXPECT_LE(left, Days(32));
    expect_apart(6h);
  }
}

TEST_F(RenewalsAdviceTest, ACaThatFailsIsAskedLessAndLess) {
  add("a.listed.test");
  first.advice = [](const Certificate&) -> Result<RenewalAdvice> {
    return Error{ErrorCode::kProtocol, "an inverted window, or 500"};
  };
  const WallTime by_life = plan("a.listed.test").renew_at;
  RenewalsOptions options;
  options.rules.policy = RenewalRules::Policy::kAlways;
  start(options);
  clock.advance(50 * 24h);
  EXPECT_GE(first.polls.size(), 50u);
  EXPECT_LE(first.polls.size(), 57u) << "1, 2, 4, 8, 16 h, then a day";
  expect_apart(1h);
  EXPECT_EQ(plan("a.listed.test").renew_at, by_life);
  clock.advance(by_life - now() + 1min);
  EXPECT_EQ(orders(), 1u);
}

TEST_F(RenewalsAdviceTest, ACaThatHangsStopsNothingElse) {
  for (int i = 0; i < 200; ++i) add(std::to_string(i) + ".listed.test");
  add_due("due.listed.test");
  first.advice_takes = 1000h;
  first.advice = [](const Certificate&) -> Result<RenewalAdvice> {
    return Error{ErrorCode::kIo, "never"};
  };
  start();
  clock.advance(10s);
  EXPECT_EQ(orders(), 1u);
  clock.advance(2h);
  EXPECT_LE(first.polls.size(), 60u) << "the rest is not asked in vain";
  EXPECT_LE(side->renewals->looking(), 1u) << "one tries it, now and then";
}

TEST_F(RenewalsAdviceTest, OncePerIntervalAlsoWhileNothingCanBeWritten) {
  add("a.listed.test");
  advise(now() + Days(50), now() + Days(51), 6h);
  store.full = Error{ErrorCode::kIo, "disk full"};
  start();
  clock.advance(24h);
  EXPECT_LE(first.polls.size(), 5u);
  expect_apart(6h);
}

TEST_F(RenewalsAdviceTest, AnIssuerThatIsConfiguredNoMoreIsNotPolled) {
  add("a.listed.test");
  const WallTime at = plan("a.listed.test").renew_at;
  RenewalsOptions options;
  options.first_is_configured = false;
  options.rules.policy = RenewalRules::Policy::kAlways;
  start(options);
  clock.advance(24h);
  EXPECT_TRUE(first.polls.empty());
  EXPECT_TRUE(second.polls.empty());
  clock.advance(at - now() + 1min);
  EXPECT_EQ(second.orders.size(), 1u) << "renewed all the same";
}

TEST_F(RenewalsAdviceTest, ANameThatWasGivenUpIsNotPolled) {
  add_due("a.test");
  http.status = 404;
  advise(now() + Days(50), now() + Days(51), 1h);
  start();
  clock.advance(26h);
  EXPECT_TRUE(is_given_up(plan("a.test")));
  first.polls.clear();
  side->renewals->note_use(name_of("a.test"));
  clock.advance(24h);
  EXPECT_TRUE(first.polls.empty());
}

}  // namespace
}  // namespace latchkey
