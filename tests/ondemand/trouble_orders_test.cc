// Which comes first when store, ledger and policy disagree; and what a name that always fails
// costs.

#include "tests/ondemand/coordinator_fixture.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

class TroubleOrdersTest : public OnDemandTest {};

TEST_F(TroubleOrdersTest, AValidStoredCertificateIsServedThoughTheLedgerSaysWait) {
  side->first.trouble = own_failure();
  EXPECT_TRUE(side->refused("a.listed.test"));
  EXPECT_EQ(store.failures.size(), 1u);
  start();  // nothing in memory; the ledger's row says wait
  const ServerName name = name_of("a.listed.test");
  store.certificates[name] = fake_ca().issue({name.text()});
  EXPECT_EQ(side->obtain("a.listed.test"), store.certificates[name]->serial());
  EXPECT_EQ(side->orders(), 0);
}

TEST_F(TroubleOrdersTest, AValidStoredCertificateOfADeniedNameIsServedByDefault) {
  const ServerName name = name_of("gone.asked.test");
  store.certificates[name] = fake_ca().issue({name.text()});
  http.status = 403;
  EXPECT_EQ(side->obtain("gone.asked.test"), store.certificates[name]->serial());
}

TEST_F(TroubleOrdersTest, AValidStoredCertificateOfADeniedNameIsRefusedWhereThatIsConfigured) {
  OnDemandOptions options;
  options.refuse_denied = true;
  start(options);
  const ServerName name = name_of("gone.asked.test");
  store.certificates[name] = fake_ca().issue({name.text()});
  http.status = 403;
  EXPECT_TRUE(side->refused("gone.asked.test"));
  EXPECT_EQ(side->cache.find(name), nullptr);
  // Again, by what is remembered.
  const int reads = store.reads;
  EXPECT_TRUE(side->refused("gone.asked.test"));
  EXPECT_EQ(http.calls, 1);
  EXPECT_EQ(store.reads, reads);
}

TEST_F(TroubleOrdersTest, ANameThatIsDeniedWhileItIsServedFromMemoryEndsAtItsRecheck) {
  OnDemandOptions options;
  options.refuse_denied = true;
  start(options);
  side->obtain("a.asked.test");
  clock.advance(61min);
  const ServerName name = name_of("a.asked.test");
  EXPECT_TRUE(side->cache.look_up(name, clock.wall_now()).recheck_due);
  http.status = 403;
  Want want(Lane::kPrefetch);
  Task<Unit> recheck = side->coordinator.recheck(name, want);
  recheck.start();
  clock.advance(1s);
  EXPECT_EQ(side->cache.find(name), nullptr);
  EXPECT_TRUE(side->refused("a.asked.test"));
  EXPECT_EQ(store.certificates.count(name), 1u);  // it stays; allowed again, it is served again
  clock.advance(61s);
  http.status = 200;
  EXPECT_FALSE(side->refused("a.asked.test"));
}

TEST_F(TroubleOrdersTest, AValidStoredCertificateIsServedWhileTheAskIsUnknown) {
  for (const bool refuse : {false, true}) {
    OnDemandOptions options;
    options.refuse_denied = refuse;
    start(options);
    const ServerName name = name_of("shop.asked.test");
    store.certificates[name] = fake_ca().issue({name.text()});
    http.status = 500;
    EXPECT_EQ(side->obtain("shop.asked.test"), store.certificates[name]->serial());
  }
}

TEST_F(TroubleOrdersTest, ARefusedNameIsServedAtOnceWhenACertificateComesFromElsewhere) {
  side->first.trouble = own_failure();
  EXPECT_TRUE(side->refused("failed.listed.test"));
  http.status = 403;
  EXPECT_TRUE(side->refused("denied.asked.test"));
  for (const char* text : {"failed.listed.test", "denied.asked.test"}) {
    const ServerName name = name_of(text);
    const CertificatePtr imported = fake_ca().issue({name.text()});
    Task<> put = store.put_certificate(name, imported, "import");
    put.start();
    clock.advance(10ms);
    EXPECT_EQ(side->obtain(text), imported->serial());
  }
}

TEST_F(TroubleOrdersTest, AWildcardFromElsewhereEndsTheRefusalOfTheNamesBelowIt) {
  side->first.trouble = own_failure();
  EXPECT_TRUE(side->refused("a.listed.test"));
  const int reads = store.reads;
  EXPECT_TRUE(side->refused("a.listed.test"));
  EXPECT_EQ(store.reads, reads);
  Task<> put =
      store.put_certificate(name_of("listed.test"), fake_ca().issue({"*.listed.test"}), "import");
  put.start();
  clock.advance(10ms);
  side->obtain("a.listed.test");
  EXPECT_GT(store.reads, reads);  // it looks again
}

TEST_F(TroubleOrdersTest, ANameThatAlwaysFailsCostsFiveAuthorizationFailuresADay) {
  side->first.trouble = own_failure();
  std::vector<TimePoint> failures;
  const auto collect = [&] {
    auto& found = side->first.authorization_failures;
    failures.insert(failures.end(), found.begin(), found.end());
    found.clear();
  };
  // Twenty visits a second for a day, and three restarts on the way.
  const TimePoint begin = clock.now();
  int visits = 0, served = 0;
  const ServerName name = name_of("broken.asked.test");
  for (int second = 0; second < 24 * 3600; ++second) {
    if (second == 30 || second == 3600 || second == 40'000) {
      collect();
      start();
      side->first.trouble = own_failure();
    }
    for (int i = 0; i < 20; ++i) {
      ++visits;
      side->gate.join(name, Lane::kHandshake,
                      [&](const auto& outcome) { served += outcome.has_value(); });
      clock.advance(50ms);
    }
  }
  collect();
  EXPECT_EQ(served, 0);
  EXPECT_LE(failures.size(), 5u);
  EXPECT_GE(failures.size(), 4u);
  for (const TimePoint from : failures) {
    const auto within = std::count_if(failures.begin(), failures.end(),
                                      [&](TimePoint at) { return at >= from && at < from + 1h; });
    EXPECT_LE(within, 4);
  }
  std::string times;
  for (const TimePoint at : failures) {
    times += " " + std::to_string((at - begin).count() / 1000) + " s";
  }
  std::printf("%d visits: %zu authorization failures, at%s\n", visits, failures.size(),
              times.c_str());
}

TEST_F(TroubleOrdersTest, ARefusedProofCountsThoughTheCaHadTroubleAfterIt) {
  side->first.trouble = side->second.trouble = ca_trouble();
  side->first.proof_fails_first = true;
  for (int minute = 0; minute < 60; ++minute) {
    side->obtain("broken.asked.test");
    clock.advance(1min);
  }
  EXPECT_LE(side->first.authorization_failures.size(), 4u);
  EXPECT_EQ(store.failures.size(), 1u);
}

// The CA counts certificates under a domain and for a name, not orders.
TEST_F(TroubleOrdersTest, ANameThatIsMendedGetsItsCertificateAtItsNextTry) {
  OnDemandOptions options;
  options.limits = *IssuerLimits::named("letsencrypt");
  start(options);
  side->first.trouble = own_failure();
  const TimePoint begin = clock.now();
  while (clock.now() < begin + 40min) {
    EXPECT_TRUE(side->refused("broken.asked.test"));
    clock.advance(1min);
  }
  side->first.trouble.reset();
  while (side->refused("broken.asked.test") && clock.now() < begin + 24h) clock.advance(1min);
  EXPECT_LT(clock.now(), begin + 150min);
}

TEST_F(TroubleOrdersTest, ACaThatIsDownCostsNoTokens) {
  OnDemandOptions options;
  options.limits = *IssuerLimits::named("letsencrypt");
  start(options);
  side->first.trouble = side->second.trouble = ca_trouble();
  for (int i = 0; i < 60; ++i) {
    side->obtain("n" + std::to_string(i) + ".tenant" + std::to_string(i) + ".test");
    clock.advance(1s);
  }
  clock.advance(11s);
  side->first.trouble.reset();
  int64_t orders_left = 0;
  for (const Budget::View& view : side->budget.view(clock.now())) {
    if (view.issuer == "first" && view.kind == LimitKind::kOrders) orders_left = view.tokens;
  }
  EXPECT_EQ(orders_left, options.limits.orders->burst);
  EXPECT_FALSE(side->refused("n0.tenant0.test"));
}

// Strangers who come and go do not fill the gate.
TEST_F(TroubleOrdersTest, AStoredNameIsServedAfterAHerdThatHasLeft) {
  OnDemandOptions options;
  options.limits = *IssuerLimits::named("letsencrypt");
  options.limits.domain.reset();
  start(options);
  for (int i = 0; i < 3000; ++i) {
    const ServerName name = name_of("n" + std::to_string(i) + ".listed.test");
    side->gate.join(name, Lane::kHandshake, [](const auto&) {});
    clock.advance(20ms);
    side->gate.visitor_left(name);
  }
  clock.advance(1min);
  const ServerName name = name_of("stored.listed.test");
  store.certificates[name] = fake_ca().issue({name.text()});
  EXPECT_EQ(side->obtain("stored.listed.test"), store.certificates[name]->serial());
}

TEST_F(TroubleOrdersTest, ALongWaitForBudgetIsRememberedToo) {
  OnDemandOptions options;
  options.limits.identifiers = options.second_limits.identifiers = Rate{1, Millis(34h)};
  start(options);
  side->obtain("a.listed.test");
  store.certificates.clear();
  side->cache.erase(name_of("a.listed.test"));
  side->obtain("a.listed.test");
  store.certificates.clear();
  side->cache.erase(name_of("a.listed.test"));
  start(options);
  EXPECT_TRUE(side->refused("a.listed.test"));
  const int reads = store.reads;
  for (int i = 0; i < 20; ++i) EXPECT_TRUE(side->refused("a.listed.test"));
  EXPECT_EQ(store.reads, reads);
}

// Beside the order of steps: a denied name leaves no trace on disk, an allowed one that failed
// does.
TEST_F(TroubleOrdersTest, NothingIsWrittenForANameThatWasNeverAllowed) {
  http.status = 403;
  for (int i = 0; i < 200; ++i) side->obtain("n" + std::to_string(i) + ".asked.test");
  http.status = 500;
  for (int i = 0; i < 20; ++i) side->obtain("u" + std::to_string(i) + ".asked.test");
  clock.advance(10s);
  EXPECT_EQ(store.writes, 0);
}

}  // namespace
}  // namespace latchkey
