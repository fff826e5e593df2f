// What the store remembers of names beside their certificates, and the buckets.
#include "cache/sqlite_names.h"

#include <algorithm>

#include "cache/sqlite_schema.h"
#include "tests/cache/store_fixture.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

const WallTime kNow = WallTime(seconds(1'790'000'000));

class SqliteNamesTest : public StoreFixture {
 protected:
  static FailureRecord failure(int count = 3) {
    return {.failure = FailureClass::kConnection,
            .message = "a.test: connection refused",
            .issuer = "letsencrypt",
            .count = count,
            .first = kNow - hours(5),
            .last = kNow,
            .next_try = kNow + hours(1)};
  }
  static VerdictRecord verdict(Grant grant = {}) {
    return {.asked = kNow,
            .until = kNow + hours(1),
            .stale_until = kNow + hours(24),
            .grant = std::move(grant)};
  }
};

TEST_F(SqliteNamesTest, OfAnUnknownNameNothingIsFound) {
  open();
  const NameRecord found = look("a.test");
  EXPECT_EQ(found.certificate, nullptr);
  EXPECT_FALSE(found.failure.has_value());
  EXPECT_FALSE(found.verdict.has_value());
}

TEST_F(SqliteNamesTest, AFailureIsKeptWholeOverARestartAndReplaced) {
  open();
  done(store->put_failure(name("a.test"), failure(1)));
  done(store->put_failure(name("a.test"), failure(2)));
  restart();
  const auto found = look("a.test").failure;
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->failure, FailureClass::kConnection);
  EXPECT_EQ(found->message, "a.test: connection refused");
  EXPECT_EQ(found->issuer, "letsencrypt");
  EXPECT_EQ(found->count, 2);
  EXPECT_EQ(found->first, kNow - hours(5));
  EXPECT_EQ(found->last, kNow);
  EXPECT_EQ(found->next_try, kNow + hours(1));
  EXPECT_FALSE(look("b.test").failure.has_value());

  done(store->delete_failure(name("a.test")));
  done(store->delete_failure(name("a.test")));
  EXPECT_FALSE(look("a.test").failure.has_value());
}

TEST_F(SqliteNamesTest, EveryFailureClassIsKept) {
  open();
  for (int i = 0; i <= static_cast<int>(FailureClass::kOther); ++i) {
    FailureRecord one = failure();
    one.failure = static_cast<FailureClass>(i);
    done(store->put_failure(name("a.test"), one));
    EXPECT_EQ(look("a.test").failure->failure, one.failure) << i;
  }
  execute("UPDATE failure SET class = 'ofANewerVersion', count = -7");
  EXPECT_EQ(look("a.test").failure->failure, FailureClass::kOther);
  EXPECT_EQ(look("a.test").failure->count, 1);
}

TEST_F(SqliteNamesTest, ALongMessageIsCutBetweenCharacters) {
  open();
  FailureRecord one = failure();
  one.message.clear();
  while (one.message.size() < 100'000) one.message += "\xe2\x82\xac";  // three bytes each
  done(store->put_failure(name("a.test"), one));
  const std::string kept = look("a.test").failure->message;
  EXPECT_EQ(kept, one.message.substr(0, 2046));
}

TEST_F(SqliteNamesTest, AVerdictIsKeptWholeOverARestartAndReplaced) {
  open();
  const Grant grant{.upstream = "http://10.0.0.7:3000",
                    .tenant = "Caf\xc3\xa9 \"\xf0\x9f\x94\x91\" \\ \n \x01 \xe2\x80\xa8",
                    .issuer = "local",
                    .profile = "shortlived",
                    .key_type = "rsa2048",
                    .wildcard = true};
  done(store->put_verdict(name("a.test"), verdict()));
  EXPECT_EQ(look("a.test").verdict->grant, Grant());
  done(store->put_verdict(name("a.test"), verdict(grant)));
  restart();
  const auto found = look("a.test").verdict;
  ASSERT_TRUE(found.has_value());
  EXPECT_EQ(found->asked, kNow);
  EXPECT_EQ(found->until, kNow + hours(1));
  EXPECT_EQ(found->stale_until, kNow + hours(24));
  EXPECT_EQ(found->grant, grant);

  done(store->delete_verdict(name("a.test")));
  EXPECT_FALSE(look("a.test").verdict.has_value());
}

TEST_F(SqliteNamesTest, AVerdictThatCannotBeReadCountsAsNoneAndIsReported) {
  open();
  const auto made = ca().issue({"a.test"});
  put("a.test", made);
  done(store->put_failure(name("a.test"), failure()));
  done(store->put_verdict(name("a.test"), verdict({.tenant = "acme"})));
  for (const char* garbage : {"'{\"tenant\": '", "x'ff00'", "'[1]'", "17", "'{}{}'"}) {
    execute("UPDATE verdict SET granted = " + std::string(garbage));
    const NameRecord found = look("a.test");
    EXPECT_FALSE(found.verdict.has_value()) << garbage;
    ASSERT_NE(found.certificate, nullptr);
    EXPECT_EQ(found.certificate->serial(), made->serial());
    EXPECT_TRUE(found.failure.has_value());
  }
  EXPECT_THAT(logged(), HasSubstr("store_verdict_unreadable"));
  done(store->put_verdict(name("a.test"), verdict({.tenant = "acme"})));
  EXPECT_EQ(look("a.test").verdict->grant.tenant, "acme");
  execute("UPDATE verdict SET granted = '{\"tenant\": 7, \"wildcard\": \"yes\", \"later\": [1]}'");
  EXPECT_EQ(look("a.test").verdict->grant, Grant()) << "what is of another kind was not said";
}

TEST_F(SqliteNamesTest, ANameIsFoundWithItsCertificateByAWildcardToo) {
  open();
  const auto wild = ca().issue({"*.w.test"});
  put("b.w.test", wild);
  done(store->put_verdict(name("a.w.test"), verdict({.tenant = "acme"})));
  const NameRecord found = look("a.w.test");
  ASSERT_NE(found.certificate, nullptr);
  EXPECT_EQ(found.certificate->serial(), wild->serial());
  EXPECT_EQ(found.verdict->grant.tenant, "acme");
  EXPECT_FALSE(look("b.w.test").verdict.has_value());
}

TEST_F(SqliteNamesTest, ABadCertificateOfANameIsSetAsideAndTheRestIsFound) {
  open();
  put("a.test", ca().issue({"a.test"}));
  done(store->put_failure(name("a.test"), failure()));
  execute("UPDATE certificate SET sealed_key = x''");
  const NameRecord found = look("a.test");
  EXPECT_EQ(found.certificate, nullptr);
  EXPECT_TRUE(found.failure.has_value());
  EXPECT_THAT(logged(), HasSubstr("store_row_quarantined"));
  EXPECT_EQ(number("SELECT count(*) FROM quarantine"), 1);
}

TEST_F(SqliteNamesTest, DeletingANameDeletesAllOfItAndNothingOfOthers) {
  open();
  put("a.test", ca().issue({"a.test", "b.test"}));
  for (const char* one : {"a.test", "b.test"}) {
    done(store->put_failure(name(one), failure()));
    done(store->put_verdict(name(one), verdict()));
  }
  done(store->delete_name(name("a.test")));
  NameRecord found = look("a.test");
  EXPECT_EQ(found.certificate, nullptr);
  EXPECT_FALSE(found.failure.has_value());
  EXPECT_FALSE(found.verdict.has_value());
  found = look("b.test");
  EXPECT_NE(found.certificate, nullptr) << "it is still needed for its other name";
  EXPECT_TRUE(found.failure.has_value());
  EXPECT_TRUE(found.verdict.has_value());

  done(store->delete_name(name("b.test")));
  done(store->delete_name(name("b.test")));
  EXPECT_EQ(number("SELECT count(*) FROM certificate"), 0);
  EXPECT_EQ(number("SELECT count(*) FROM failure"), 0);
  EXPECT_EQ(number("SELECT count(*) FROM verdict"), 0);
}

TEST_F(SqliteNamesTest, BucketsThatAreNotFullOrAreHeldAreLoaded) {
  open();
  const int64_t now = Millis(kNow.time_since_epoch()).count();
  const auto load = [&] {
    auto loaded = run(store->load_buckets(kNow));
    EXPECT_TRUE(loaded.has_value());
    std::vector<std::string> shown;
    for (const BucketRecord& one : *loaded) {
      shown.push_back(one.issuer + "/" + one.kind + "/" + one.key + " " +
                      std::to_string(one.full_at_ms - now) + " " +
                      std::to_string(one.held_until_ms == 0 ? 0 : one.held_until_ms - now));
    }
    return shown;
  };
  EXPECT_THAT(load(), ElementsAre());
  done(store->put_buckets({{"le", "orders", "", now + 5, 0},
                           {"le", "domain", "full.test", now, 0},
                           {"le", "domain", "held.test", now - 9, now + 1},
                           {"", "throttle", "", now + 7, now - 1},
                           {"le", "domain", "\xc3\xa9", 0, 0}}));
  restart();
  EXPECT_THAT(load(), UnorderedElementsAre("le/orders/ 5 0", "le/domain/held.test -9 1",
                                           "/throttle/ 7 -1"));
  done(store->put_buckets(
      {{"le", "orders", "", now, 0}, {"le", "domain", "held.test", now + 2, 0}}));
  EXPECT_THAT(load(), UnorderedElementsAre("le/domain/held.test 2 0", "/throttle/ 7 -1"));
  done(store->put_buckets({}));
}

TEST_F(SqliteNamesTest, BucketsArePutAllOrNone) {
  open();
  const int64_t now = Millis(kNow.time_since_epoch()).count();
  execute(
      "CREATE TRIGGER t BEFORE INSERT ON bucket WHEN new.key = 'bad' "
      "BEGIN SELECT raise(ABORT, 'no'); END");
  const auto put = run(store->put_buckets(
      {{"le", "domain", "good", now + 5, 0}, {"le", "domain", "bad", now + 5, 0}}));
  EXPECT_FALSE(put.has_value());
  EXPECT_EQ(number("SELECT count(*) FROM bucket"), 0);
  done(store->put_buckets({{"le", "domain", "good", now + 5, 0}}));
  EXPECT_EQ(run(store->load_buckets(kNow))->size(), 1u);
}

TEST_F(SqliteNamesTest, ATaskThatIsDroppedIsForgottenButItsWriteIsDone) {
  open();
  {
    Task<> one = store->put_failure(name("a.test"), failure());
    one.start();
    Task<> two = store->put_verdict(name("a.test"), verdict());
    two.start();
    Task<> three = store->put_buckets({{"le", "orders", "", INT64_MAX, 0}});
    three.start();
  }
  EXPECT_TRUE(run(store->self_test()).has_value());  // the same thread, later
  EXPECT_TRUE(look("a.test").failure.has_value());
  EXPECT_TRUE(look("a.test").verdict.has_value());
  EXPECT_EQ(run(store->load_buckets(kNow))->size(), 1u);
  put("a.test", ca().issue({"a.test"}));
  execute("UPDATE certificate SET sealed_key = x''");
  // Dropped after the first, the second, … wait: look, quarantine, look.
  for (int turns = 0; turns < 4; ++turns) {
    Task<NameRecord> task = store->find_name(name("a.test"));
    task.start();
    test::turn(loop, task, turns);
  }
  for (int turns = 0; turns < 4; ++turns) {
    Task<SweepReport> task = store->sweep(kNow, hours(30 * 24));
    task.start();
    test::turn(loop, task, turns);
  }
  EXPECT_EQ(look("a.test").certificate, nullptr);
}

// Numbers for people: what a cold name and a failure cost.
TEST_F(SqliteNamesTest, LookingForAMissingNameAndPuttingAFailureAreQuick) {
  open();
  put("real.test", ca().issue({"real.test"}));
  constexpr size_t kCount = 500;
  const auto measure = [&](const char* what, const std::function<void(size_t)>& act) {
    std::vector<double> micros;
    for (size_t i = 0; i < kCount; ++i) {
      const auto start = std::chrono::steady_clock::now();
      act(i);
      const std::chrono::duration<double, std::micro> took =
          std::chrono::steady_clock::now() - start;
      micros.push_back(took.count());
    }
    std::sort(micros.begin(), micros.end());
    std::printf("%s: %.0f us p50, %.0f us p99\n", what, micros[kCount / 2],
                micros[kCount * 99 / 100]);
  };
  const auto numbered = [](size_t i) { return name("n" + std::to_string(i) + ".test"); };
  measure("find_name of a missing name",
          [&](size_t i) { ASSERT_EQ(run(store->find_name(numbered(i)))->certificate, nullptr); });
  measure("put_failure", [&](size_t i) { done(store->put_failure(numbered(i), failure())); });
  measure("find_name of a failed name",
          [&](size_t i) { ASSERT_TRUE(run(store->find_name(numbered(i)))->failure.has_value()); });
  measure("find_name of a certificate", [&](size_t) {
    ASSERT_NE(run(store->find_name(name("real.test")))->certificate, nullptr);
  });
}

}  // namespace
}  // namespace latchkey
