#include "ondemand/issuer.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <optional>

#include "tests/support/fake_store.h"
#include "tests/support/manual_clock.h"
#include "tests/support/test_certificates.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;

const TestCa& ca() {
  static const TestCa made;
  return made;
}

// Answers the ask by the status that a test sets, after 100 ms.
class FakeHttp final : public HttpClient {
 public:
  explicit FakeHttp(Clock& clock) : clock_(clock) {}
  Task<HttpReply> send(HttpRequest) override {
    ++calls;
    co_await sleep(clock_, 100ms);
    HttpReply reply;
    reply.status = status;
    co_return reply;
  }
  int status = 200;
  int calls = 0;

 private:
  Clock& clock_;
};

class IssuerTest : public testing::Test {
 protected:
  IssuerTest() {
    store.clock = &clock;
    store.delay = 1ms;
  }

  // A CA that takes a second, or fails with `trouble`.
  Task<Issued> order(ServerName name, int failures) {
    earlier_failures = failures;
    ++orders;
    ++in_flight;
    most_in_flight = std::max(most_in_flight, in_flight);
    co_await sleep(clock, 1s);
    --in_flight;
    if (trouble) co_return *trouble;
    const TestCa::Names names{name.text()};
    Issued issued{ca().issue(names), "fake"};
    co_return issued;
  }

  static std::shared_ptr<const Allowlist> listed() {
    std::vector<Allowlist::BadLine> bad;
    return *Allowlist::load({"*.listed.test"}, {}, bad);
  }

  // Obtains, moves the clock for half an hour at most; "serial", or "!reason".
  std::string obtain(const std::string& text) {
    Task<CertificatePtr> task = issuer.obtain(name_of(text));
    task.start();
    for (int i = 0; i < 60'000 && !task.done(); ++i) clock.advance(30ms);
    if (!task.done()) return "still waiting";
    return task.outcome() ? (*task.outcome())->serial() : "!" + task.outcome().error().message;
  }
  static AskEndpoint::Options ask_options() {
    AskEndpoint::Options options;
    options.url = "http://127.0.0.1/ask";
    return options;
  }
  static Issuer::Limits limits() {
    Issuer::Limits limits;
    limits.max_orders = 2;
    return limits;
  }
  static ServerName name_of(const std::string& text) { return *ServerName::parse(text); }

  ManualClock clock;
  Log log{STDERR_FILENO, Log::Format::kText, static_cast<LogLevel>(9)};
  FakeStore store;
  FakeHttp http{clock};
  CertificateCache cache{{}};
  Policy policy{listed(), std::make_unique<AskEndpoint>(ask_options(), http, clock, log)};
  int orders = 0, in_flight = 0, most_in_flight = 0, earlier_failures = 0;
  std::optional<Error> trouble;
  Issuer issuer{limits(),
                store,
                policy,
                cache,
                [this](ServerName name, int failures) { return order(std::move(name), failures); },
                clock,
                log};
};

TEST_F(IssuerTest, AnAllowedNameIsOrderedStoredAndCached) {
  const std::string serial = obtain("shop.asked.test");
  EXPECT_EQ(http.calls, 1);
  EXPECT_EQ(orders, 1);
  ASSERT_EQ(store.certificates.size(), 1u);
  EXPECT_EQ(store.certificates.begin()->second->serial(), serial);
  ASSERT_NE(cache.find(name_of("shop.asked.test")), nullptr);
}

TEST_F(IssuerTest, AStoredCertificateNeedsNeitherAskNorOrder) {
  const ServerName name = name_of("stored.asked.test");
  store.certificates[name] = ca().issue({name.text()});
  http.status = 500;
  EXPECT_EQ(obtain(name.text()), store.certificates[name]->serial());
  EXPECT_EQ(http.calls + orders, 0);
}

TEST_F(IssuerTest, AnExpiredStoredCertificateIsReplaced) {
  const ServerName name = name_of("old.listed.test");
  const WallTime now = clock.wall_now();
  store.certificates[name] = ca().issue({name.text()}, now - 48h, now - 24h);
  EXPECT_FALSE(obtain(name.text()).starts_with("!"));
  EXPECT_EQ(orders, 1);
}

TEST_F(IssuerTest, ADenialIsRememberedWithoutIoUntilItsTime) {
  http.status = 403;
  EXPECT_TRUE(obtain("bad.asked.test").starts_with("!"));
  EXPECT_TRUE(obtain("bad.asked.test").starts_with("!"));
  EXPECT_EQ(http.calls, 1);
  EXPECT_EQ(store.certificates.size(), 0u);
  clock.advance(61s);
  http.status = 200;
  EXPECT_FALSE(obtain("bad.asked.test").starts_with("!"));
}

TEST_F(IssuerTest, ADenialIsForgottenWhenThePolicyChanges) {
  http.status = 403;
  obtain("bad.asked.test");
  http.status = 200;
  issuer.forget_denials();
  EXPECT_FALSE(obtain("bad.asked.test").starts_with("!"));
}

TEST_F(IssuerTest, NotKnowingIsNoDenialAndIsNotRemembered) {
  http.status = 503;
  EXPECT_TRUE(obtain("new.asked.test").starts_with("!"));
  http.status = 200;
  EXPECT_FALSE(obtain("new.asked.test").starts_with("!"));
}

TEST_F(IssuerTest, AFailureKeepsFurtherOrdersAwayLongerAndLonger) {
  trouble = Error{ErrorCode::kProtocol, "unauthorized"};
  obtain("broken.listed.test");
  EXPECT_EQ(obtain("broken.listed.test"), "!unauthorized");
  EXPECT_EQ(orders, 1);
  clock.advance(61s);
  obtain("broken.listed.test");
  EXPECT_EQ(orders, 2);
  clock.advance(5min);
  obtain("broken.listed.test");
  EXPECT_EQ(orders, 2);
  clock.advance(6min);
  trouble.reset();
  EXPECT_FALSE(obtain("broken.listed.test").starts_with("!"));
  EXPECT_EQ(orders, 3);
}

TEST_F(IssuerTest, TroubleAtTheCaIsNotTheNamesFault) {
  trouble = Error{ErrorCode::kIo, "connection refused"};
  for (int i = 0; i < 10; ++i) {
    obtain("a.listed.test");
    clock.advance(16s);
  }
  EXPECT_EQ(orders, 10);
  trouble.reset();
  EXPECT_FALSE(obtain("a.listed.test").starts_with("!"));
  EXPECT_EQ(earlier_failures, 0);
}

TEST_F(IssuerTest, AThrottlingCaIsLeftAloneForAsLongAsItSays) {
  trouble = Error{ErrorCode::kThrottled, "rateLimited", 1h};
  obtain("a.listed.test");
  clock.advance(59min);
  EXPECT_EQ(obtain("a.listed.test"), "!rateLimited");
  EXPECT_EQ(orders, 1);
  clock.advance(2min);
  obtain("a.listed.test");
  EXPECT_EQ(orders, 2);
}

// An order whose certificate could not be kept has cost as much as any other.
TEST_F(IssuerTest, AnOrderThatCouldNotBeStoredIsNotRepeatedAtOnce) {
  store.full = Error{ErrorCode::kIo, "disk full"};
  EXPECT_TRUE(obtain("a.listed.test").starts_with("!"));
  EXPECT_TRUE(obtain("a.listed.test").starts_with("!"));
  EXPECT_EQ(orders, 1);
}

TEST_F(IssuerTest, ASickStoreIsNotTestedForEveryVisitor) {
  store.broken_test = Error{ErrorCode::kIo, "disk full"};
  for (int i = 0; i < 50; ++i) {
    Task<CertificatePtr> task = issuer.obtain(name_of("n" + std::to_string(i) + ".listed.test"));
    task.start();
    clock.advance(10ms);
  }
  EXPECT_LE(store.self_tests, 2);
  EXPECT_EQ(orders, 0);
}

TEST_F(IssuerTest, NoOrderIsMadeWhileTheStoreDoesNotWork) {
  store.broken = Error{ErrorCode::kIo, "disk full"};
  EXPECT_TRUE(obtain("a.listed.test").starts_with("!"));
  EXPECT_EQ(orders, 0);
  store.broken.reset();
  clock.advance(1s);
  EXPECT_FALSE(obtain("a.listed.test").starts_with("!"));
}

TEST_F(IssuerTest, OrdersAreBoundedAndTheRestWaitTheirTurn) {
  std::vector<Task<CertificatePtr>> tasks;
  for (int i = 0; i < 20; ++i) {
    tasks.push_back(issuer.obtain(name_of("n" + std::to_string(i) + ".listed.test")));
  }
  for (auto& task : tasks) task.start();
  clock.advance(11s);
  for (auto& task : tasks) EXPECT_TRUE(task.done() && task.outcome().has_value());
  EXPECT_EQ(orders, 20);
  EXPECT_EQ(most_in_flight, 2);
}

TEST_F(IssuerTest, WhoWaitsTooLongForAPlaceIsRefusedAndNotBlamed) {
  std::vector<Task<CertificatePtr>> tasks;
  for (int i = 0; i < 60; ++i) {
    tasks.push_back(issuer.obtain(name_of("n" + std::to_string(i) + ".listed.test")));
  }
  for (auto& task : tasks) task.start();
  clock.advance(40s);
  ASSERT_TRUE(tasks.back().done());
  EXPECT_EQ(tasks.back().outcome().error().code, ErrorCode::kThrottled);
  EXPECT_FALSE(obtain("n59.listed.test").starts_with("!"));
}

TEST_F(IssuerTest, MayBeCancelledAtEachOfItsWaits) {
  for (int waits = 0; waits < 10; ++waits) {
    {
      Task<CertificatePtr> task = issuer.obtain(name_of("cut.asked.test"));
      task.start();
      for (int i = 0; i < waits; ++i) clock.advance(waits < 5 ? 1ms : 150ms);
    }
    EXPECT_EQ(clock.pending(), 0u) << "after " << waits;
    store.certificates.clear();
    cache.erase(name_of("cut.asked.test"));
  }
}

TEST_F(IssuerTest, KnowsWhatMayBeServed) {
  const auto may = [&](const std::string& text) {
    Task<bool> task = issuer.may_be_served(name_of(text));
    task.start();
    clock.advance(3s);
    return task.done() && *task.outcome();
  };
  EXPECT_TRUE(may("a.listed.test"));
  EXPECT_TRUE(may("a.asked.test"));
  http.status = 404;
  EXPECT_FALSE(may("b.asked.test"));
  const int calls = http.calls;
  EXPECT_FALSE(may("b.asked.test"));
  EXPECT_EQ(http.calls, calls);
  EXPECT_EQ(orders, 0);
  trouble = Error{ErrorCode::kProtocol, "unauthorized"};
  obtain("c.listed.test");
  EXPECT_TRUE(may("c.listed.test"));  // wanted, though it failed
}

}  // namespace
}  // namespace latchkey
