#include "acme/dns_proofs.h"

#include <fcntl.h>
#include <gmock/gmock.h>

#include "acme/base64url.h"
#include "acme/jws.h"
#include "tests/acme/fake_dns.h"
#include "tests/support/fake_store.h"
#include "tests/support/test_loop.h"

namespace latchkey::acme {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

using namespace std::chrono_literals;

const std::string kDomain = "_acme-challenge.a.test";

std::string value_of(const std::string& key_authorization) {
  return base64url(sha256(key_authorization));
}

class DnsProofsTest : public testing::Test {
 protected:
  DnsProofsTest() {
    dns.name_servers["a.test"] = {"ns.a.test"};
    dns.name_servers["proofs.test"] = {"ns.a.test"};
    dns.hosts["ns.a.test"] = {"192.0.2.1"};
    store.clock = &clock;
    start();
  }
  void start() {
    proofs.emplace(options, DnsProofs::Parts{dns.records, resolver, store, clock, log},
                   std::make_unique<FakeDns::View>(dns));
  }
  Task<DnsProofs::Proof> publish(const std::string& name, const std::string& authorization) {
    const auto parsed =
        name.starts_with("*.") ? ServerName::parse_wildcard(name) : ServerName::parse(name);
    return proofs->publish(*parsed, authorization);
  }
  // Published at once.
  DnsProofs::Proof published(const std::string& name, const std::string& authorization) {
    auto task = publish(name, authorization);
    task.start();
    clock.advance(1ms);
    EXPECT_TRUE(task.done());
    EXPECT_TRUE(task.outcome()) << task.outcome().error().message;
    return *std::move(task.outcome());
  }
  std::string complaint(const std::string& name, ErrorCode code) {
    auto task = publish(name, "token");
    task.start();
    clock.advance(1ms);
    EXPECT_TRUE(task.done());
    if (!task.done() || task.outcome()) return "";
    EXPECT_EQ(task.outcome().error().code, code);
    return task.outcome().error().message;
  }

  test::TestLoop loop;
  Resolver resolver{loop.uv()};  // not asked
  ManualClock clock;
  FakeDns dns{clock};
  FakeStore store;
  Log log{open("/dev/null", O_WRONLY | O_CLOEXEC), Log::Format::kText, LogLevel::kDebug};
  DnsProofs::Options options;
  std::optional<DnsProofs> proofs;
};

TEST_F(DnsProofsTest, ARecordStandsForAsLongAsItsProof) {
  {
    const auto proof = published("a.test", "token.thumbprint");
    EXPECT_TRUE(dns.has(kDomain, value_of("token.thumbprint")));
    EXPECT_EQ(value_of("token.thumbprint").size(), 43u);
    ASSERT_EQ(store.dns_proofs.size(), 1u);
    const DnsProof& row = store.dns_proofs.begin()->second;
    EXPECT_EQ(row.domain, kDomain);
    EXPECT_EQ(row.value, value_of("token.thumbprint"));
    EXPECT_EQ(row.identifier, "a.test");
    clock.advance(1h);
    EXPECT_EQ(dns.changes.size(), 1u);
  }
  EXPECT_EQ(dns.count(), 1u);  // not from within the destructor
  clock.advance(1ms);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(DnsProofsTest, AWildcardsProofIsAtItsSuffix) {
  const auto proof = published("*.a.test", "w");
  EXPECT_TRUE(dns.has(kDomain, value_of("w")));
}

TEST_F(DnsProofsTest, ItIsStoredBeforeItIsPublished) {
  store.delay = 1s;
  auto task = publish("a.test", "token");
  task.start();
  clock.advance(999ms);
  EXPECT_THAT(dns.changes, IsEmpty());
  clock.advance(2ms);
  EXPECT_EQ(dns.changes.size(), 1u);
  EXPECT_EQ(store.dns_proofs.size(), 1u);
  EXPECT_TRUE(task.done());
}

TEST_F(DnsProofsTest, WhatCannotBeStoredIsNotPublished) {
  store.full = Error{ErrorCode::kIo, "disk full"};
  EXPECT_THAT(complaint("a.test", ErrorCode::kIo), HasSubstr("disk full"));
  clock.advance(1h);
  EXPECT_THAT(dns.changes, IsEmpty());
  EXPECT_EQ(clock.pending(), 0u);
}

// It may be there all the same.
TEST_F(DnsProofsTest, WhatCouldNotBePublishedIsWithdrawn) {
  dns.publish_error = Error{ErrorCode::kInvalid, "REFUSED"};
  EXPECT_THAT(complaint("a.test", ErrorCode::kInvalid), HasSubstr("REFUSED"));
  clock.advance(1ms);
  EXPECT_THAT(dns.changes, ElementsAre(HasSubstr("+_acme"), HasSubstr("-_acme")));
  EXPECT_THAT(store.dns_proofs, IsEmpty());
}

TEST_F(DnsProofsTest, TwoProofsOfOneDomainStandBesideEachOther) {
  dns.delay = 1s;
  auto first = publish("a.test", "one");
  auto second = publish("*.a.test", "two");
  first.start();
  second.start();
  clock.advance(20s);
  ASSERT_TRUE(first.done());
  ASSERT_TRUE(second.done());
  EXPECT_EQ(dns.count(), 2u);
  { const auto proof = *std::move(first.outcome()); }
  auto third = publish("a.test", "three");
  third.start();
  clock.advance(20s);
  EXPECT_FALSE(dns.has(kDomain, value_of("one")));
  EXPECT_TRUE(dns.has(kDomain, value_of("two")));
  {
    ASSERT_TRUE(third.done());
    const auto also = *std::move(third.outcome());
    const auto proof = *std::move(second.outcome());
  }
  clock.advance(20s);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_FALSE(dns.overlapped);  // a hook program may read, change and write
}

// Another process takes over: it finds the row.
TEST_F(DnsProofsTest, WhileHeldNothingIsWithdrawn) {
  auto proof = published("a.test", "token");
  proofs->hold();
  proof = {};
  clock.advance(2 * 24h);
  EXPECT_EQ(dns.changes.size(), 1u);
  EXPECT_EQ(store.dns_proofs.size(), 1u);
  EXPECT_FALSE(proofs->changing());
  // An order that is let come to its end publishes still.
  auto other = published("b.test", "token");
  EXPECT_EQ(dns.changes.size(), 2u);
  proofs->release();
  clock.advance(1ms);
  EXPECT_EQ(dns.changes.size(), 3u);
  EXPECT_EQ(store.dns_proofs.size(), 1u);
}

TEST_F(DnsProofsTest, WhatWasHeldIsTheNextOnesToWithdraw) {
  auto proof = published("a.test", "token");
  proofs->hold();
  proof = {};
  clock.advance(1s);
  start();
  EXPECT_EQ(dns.count(), 1u);
  proofs->clean_up();
  clock.advance(1s);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
}

TEST_F(DnsProofsTest, ChangesThatAreUnderWayWhenItIsHeldComeToTheirEnd) {
  std::vector<DnsProofs::Proof> standing;
  for (int i = 0; i < 6; ++i) {
    standing.push_back(published("n" + std::to_string(i) + ".test", "token"));
  }
  EXPECT_FALSE(proofs->changing());
  dns.delay = 1s;
  standing.clear();
  clock.advance(500ms);
  EXPECT_TRUE(proofs->changing());
  proofs->hold();
  clock.advance(1min);
  EXPECT_FALSE(proofs->changing());
  EXPECT_EQ(dns.count(), 2u);  // those that waited for a place
  EXPECT_EQ(store.dns_proofs.size(), 2u);
  proofs->release();
  clock.advance(1min);
  EXPECT_EQ(dns.count(), 0u);
}

TEST_F(DnsProofsTest, WhatNobodyHasAUseForIsNotPublishedWhileHeld) {
  store.delay = 1s;
  auto task = publish("a.test", "token");
  task.start();
  clock.advance(500ms);
  proofs->hold();
  task = {};
  clock.advance(1min);
  EXPECT_THAT(dns.changes, IsEmpty());
}

// Two orders may share an authorization of the CA, and so the value.
TEST_F(DnsProofsTest, OneRecordServesTwoProofs) {
  auto first = published("a.test", "same");
  auto second = published("*.a.test", "same");
  EXPECT_EQ(dns.changes.size(), 1u);
  first = {};
  clock.advance(1h);
  EXPECT_EQ(dns.count(), 1u);
  second = {};
  clock.advance(1s);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
}

TEST_F(DnsProofsTest, ARecordThatIsBeingWithdrawnCanBeWantedAgain) {
  for (Millis after{0}; after < 4s; after += 100ms) {
    dns.delay = 0s;
    auto first = published("a.test", "same");
    dns.delay = store.delay = 1s;
    first = {};
    clock.advance(after);
    auto task = publish("a.test", "same");
    task.start();
    clock.advance(1min);
    ASSERT_TRUE(task.done());
    ASSERT_TRUE(task.outcome()) << task.outcome().error().message;
    EXPECT_TRUE(dns.has(kDomain, value_of("same"))) << after.count();
    EXPECT_EQ(store.dns_proofs.size(), 1u);
    task = {};
    clock.advance(1min);
    EXPECT_EQ(dns.count(), 0u);
    EXPECT_THAT(store.dns_proofs, IsEmpty());
    store.delay = 0s;
  }
}

// ... while it cannot be withdrawn, and after a publication that failed.
TEST_F(DnsProofsTest, WhatIsWantedAgainIsPublishedAtOnce) {
  const Error down{ErrorCode::kIo, "down"};
  dns.publish_error = dns.withdraw_error = down;
  EXPECT_THAT(complaint("a.test", ErrorCode::kIo), HasSubstr("down"));
  clock.advance(5min);
  dns.publish_error.reset();
  auto proof = published("a.test", "token");
  EXPECT_TRUE(dns.has(kDomain, value_of("token")));
  proof = {};
  clock.advance(1min);
  dns.withdraw_error.reset();
  clock.advance(1h);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
}

// ... while it is being withdrawn, which fails.
TEST_F(DnsProofsTest, AFailedWithdrawalHoldsUpNobodyWhoWantsItAgain) {
  auto first = published("a.test", "token");
  dns.delay = 1s;
  dns.withdraw_error = Error{ErrorCode::kIo, "down"};
  first = {};
  clock.advance(500ms);
  dns.delay = 0s;
  auto task = publish("a.test", "token");
  task.start();
  clock.advance(1s);
  ASSERT_TRUE(task.done());
  ASSERT_TRUE(task.outcome()) << task.outcome().error().message;
  EXPECT_TRUE(dns.has(kDomain, value_of("token")));
  dns.withdraw_error.reset();
  task = {};
  clock.advance(1s);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
}

TEST_F(DnsProofsTest, CnamesAreFollowed) {
  dns.cnames = {{kDomain, "a.proofs.test"}, {"a.proofs.test", "b.proofs.test"}};
  {
    const auto proof = published("a.test", "token");
    EXPECT_TRUE(dns.has("b.proofs.test", value_of("token")));
    EXPECT_EQ(store.dns_proofs.begin()->second.domain, "b.proofs.test");
    dns.cnames.clear();  // it is withdrawn where it was put
  }
  clock.advance(1s);
  EXPECT_EQ(dns.count(), 0u);
}

TEST_F(DnsProofsTest, CnamesAreNotFollowedWhereTheOperatorSaysSo) {
  options.follow_cname = false;
  start();
  dns.cnames = {{kDomain, "a.proofs.test"}};
  const auto proof = published("a.test", "token");
  EXPECT_TRUE(dns.has(kDomain, value_of("token")));
}

TEST_F(DnsProofsTest, CnamesThatLeadNowhereAreErrors) {
  dns.cnames = {{kDomain, "b.test"}, {"b.test", kDomain}};
  EXPECT_THAT(complaint("a.test", ErrorCode::kInvalid),
              AllOf(HasSubstr("circle"), HasSubstr(kDomain + " -> b.test -> " + kDomain)));
  dns.cnames = {{kDomain, "c0.test"}};
  for (int i = 0; i < 7; ++i) {
    dns.cnames["c" + std::to_string(i) + ".test"] = "c" + std::to_string(i + 1) + ".test";
  }
  EXPECT_EQ(complaint("a.test", ErrorCode::kInvalid), "");  // eight of them
  dns.cnames["c7.test"] = "c8.test";
  EXPECT_THAT(complaint("a.test", ErrorCode::kInvalid), HasSubstr("over 8 CNAMEs"));
  dns.cnames = {{kDomain, "a\\046b.test"}};
  EXPECT_THAT(complaint("a.test", ErrorCode::kInvalid), HasSubstr("no host name"));
  dns.broken.insert(kDomain);
  EXPECT_THAT(complaint("a.test", ErrorCode::kTimeout),
              AllOf(HasSubstr("looking for a CNAME"), HasSubstr("dns.follow_cname")));
}

TEST_F(DnsProofsTest, NamesThatCannotBeProven) {
  auto address = proofs->publish(*ServerName::parse_ip("192.0.2.1"), "token");
  address.start();
  ASSERT_TRUE(address.done());
  EXPECT_FALSE(address.outcome());
  const std::string label(63, 'a');
  EXPECT_THAT(complaint(label + "." + label + "." + label + "." + std::string(61, 'a'),
                        ErrorCode::kInvalid),
              HasSubstr("over 253 bytes"));
}

TEST_F(DnsProofsTest, WaitsForTheNameServersThenSettles) {
  options.settle = 3s;
  start();
  dns.lag["192.0.2.1:53"] = 10s;
  auto task = publish("a.test", "token");
  task.start();
  clock.advance(12s);
  EXPECT_FALSE(task.done());
  clock.advance(8s);
  EXPECT_TRUE(task.done());
}

TEST_F(DnsProofsTest, GoesOnWhereANameServerNeverShowsIt) {
  dns.broken.insert("192.0.2.1:53");
  auto task = publish("a.test", "token");
  task.start();
  clock.advance(119s);
  EXPECT_FALSE(task.done());
  clock.advance(2s);
  ASSERT_TRUE(task.done());
  EXPECT_TRUE(task.outcome());
}

TEST_F(DnsProofsTest, AsksNobodyWhereThereIsNoTimeForIt) {
  options.propagation_timeout = 0s;
  options.follow_cname = false;
  options.settle = 3s;
  start();
  auto task = publish("a.test", "token");
  task.start();
  clock.advance(2s);
  EXPECT_FALSE(task.done());
  clock.advance(1s);
  EXPECT_TRUE(task.done());
  EXPECT_THAT(dns.questions, IsEmpty());
}

TEST_F(DnsProofsTest, WithdrawsUntilThatWorked) {
  { const auto proof = published("a.test", "token"); }
  dns.withdraw_error = Error{ErrorCode::kIo, "connection refused"};
  const auto tries = [this] { return dns.changes.size() - 1; };
  clock.advance(1s);
  EXPECT_EQ(tries(), 1u);
  clock.advance(1min);
  EXPECT_EQ(tries(), 2u);
  clock.advance(10min);
  EXPECT_EQ(tries(), 3u);
  clock.advance(24h);
  EXPECT_EQ(tries(), 27u);
  EXPECT_EQ(store.dns_proofs.size(), 1u);
  dns.withdraw_error.reset();
  clock.advance(1h);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(DnsProofsTest, GivesUpAfterThirtyDays) {
  dns.withdraw_error = Error{ErrorCode::kIo, "no such server"};
  { const auto proof = published("a.test", "token"); }
  clock.advance(30 * 24h - 1h);
  EXPECT_EQ(store.dns_proofs.size(), 1u);
  clock.advance(3h);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
  EXPECT_EQ(clock.pending(), 0u);
}

TEST_F(DnsProofsTest, ARowThatCannotBeDeletedIsTriedAgain) {
  { const auto proof = published("a.test", "token"); }
  store.broken = Error{ErrorCode::kIo, "disk"};
  clock.advance(1s);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_EQ(store.dns_proofs.size(), 1u);
  store.broken.reset();
  clock.advance(1min);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
}

TEST_F(DnsProofsTest, WhatAnEarlierLifeHasLeftIsWithdrawn) {
  for (int i = 0; i < 20; ++i) {
    auto proof = published("n" + std::to_string(i) + ".a.test", "token");
    proofs.reset();  // killed
    start();
  }
  EXPECT_EQ(dns.count(), 20u);
  EXPECT_EQ(store.dns_proofs.size(), 20u);
  dns.delay = 1s;
  store.broken = Error{ErrorCode::kIo, "disk"};
  proofs->clean_up();
  clock.advance(1s);
  store.broken.reset();
  clock.advance(2min);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
  EXPECT_LE(dns.most_at_once, 4);
}

// An order that goes on after a crash has the same token, and so the same record.
TEST_F(DnsProofsTest, CleaningUpLeavesWhatIsWantedAgain) {
  {
    auto proof = published("a.test", "token"), killed = published("b.a.test", "token");
    proofs.reset();
  }
  for (Millis after{0}; after < 4s; after += 100ms) {
    start();
    dns.delay = store.delay = 1s;
    proofs->clean_up();
    clock.advance(after);
    auto task = publish("a.test", "token");
    task.start();
    clock.advance(1min);
    ASSERT_TRUE(task.done());
    EXPECT_TRUE(dns.has(kDomain, value_of("token"))) << after.count();
    EXPECT_FALSE(dns.has("_acme-challenge.b.a.test", value_of("token")));
    proofs.reset();  // killed again
    task = {};
    EXPECT_FALSE(store.dns_proofs.empty());
  }
  start();
  proofs->clean_up();
  clock.advance(1min);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
}

TEST_F(DnsProofsTest, WhoeverGoesAwayLeavesNothing) {
  dns.delay = store.delay = 1s;
  dns.lag["192.0.2.1:53"] = 5s;
  bool ended = false;
  for (Millis at{0}; !ended; at += 250ms) {
    auto task = publish("a.test", "token" + std::to_string(at.count()));
    task.start();
    clock.advance(at);
    ended = task.done();
    task = {};
    clock.advance(1min);
    EXPECT_EQ(dns.count(), 0u) << at.count();
    EXPECT_THAT(store.dns_proofs, IsEmpty()) << at.count();
    EXPECT_EQ(clock.pending(), 0u) << at.count();
    ASSERT_LT(at, 1min);
  }
}

TEST_F(DnsProofsTest, MayEndAtAnyMoment) {
  dns.delay = store.delay = 1s;
  for (Millis at{0}; at < 15s; at += 250ms) {
    start();
    proofs->clean_up();
    auto task = publish("a.test", "token");
    task.start();
    clock.advance(at);
    DnsProofs::Proof proof;
    if (task.done()) proof = *std::move(task.outcome());
    task = {};
    if (at > 8s) proof = {};
    clock.advance(500ms);
    proofs.reset();
    EXPECT_EQ(clock.pending(), 0u) << at.count();
  }
  start();
  proofs->clean_up();
  clock.advance(1min);
  EXPECT_EQ(dns.count(), 0u);
  EXPECT_THAT(store.dns_proofs, IsEmpty());
}

}  // namespace
}  // namespace latchkey::acme
