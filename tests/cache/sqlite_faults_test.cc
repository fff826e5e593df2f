// Disks that fill, fail, turn read-only, or lose their power, under the whole store.
#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "tests/cache/store_fixture.h"
#include "tests/support/faulty_vfs.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::seconds;
using test::FaultyVfs;
using testing::AllOf;
using testing::HasSubstr;
using Fault = FaultyVfs::Fault;

const WallTime kNow = TestCa::now() - hours(24 * 30);

class StoreFaultsTest : public StoreFixture {
 protected:
  void SetUp() override {
    vfs = FaultyVfs::name();
    open();
  }
  ~StoreFaultsTest() override { store.reset(); }  // before the faults go

  static PendingOrder order(std::string_view text) {
    return {.name = name(text),
            .issuer = "ca",
            .directory = "d",
            .account = "a",
            .url = "o",
            .key_der = "k",
            .made = kNow};
  }
  static Event event(std::string_view text) {
    return {.at = kNow, .kind = "k", .name = std::string(text), .keep_until = kNow};
  }
  AuthorityStore& authorities() { return store->authority_store(); }
  static IssuedCertificate issued(const std::string& serial) {
    return {.authority = "local", .serial = serial, .not_after = kNow, .leaf = "l"};
  }
  static AcmeOrderRow acme_order() {
    return {.authority = "local", .id = "o", .account = "a", .expires = kNow, .document = "{}"};
  }
  static VerdictRecord verdict() { return {.asked = kNow, .until = kNow, .stale_until = kNow}; }

  struct Act {
    const char* name;
    std::function<Result<>()> run;
  };
  template <typename T>
  Result<> ended(Task<T> task) {
    auto result = run(std::move(task));
    if (!result) return std::move(result).error();
    return Unit{};
  }
  // Each method that writes, with something to write.
  std::vector<Act> writes() {
    const CertificatePtr made = ca().issue({"new.test"});
    FailureRecord failure;
    failure.count = 1;
    return {
        {"self_test", [this] { return ended(store->self_test()); }},
        {"put_certificate",
         [this, made] { return ended(store->put_certificate(name("new.test"), made, "ca")); }},
        {"put_plan",
         [this] {
           RenewalPlan plan;
           plan.look_at = kNow;
           return ended(store->put_plan(1, plan));
         }},
        {"note_uses", [this] { return ended(store->note_uses({{name("a.test")}}, kNow)); }},
        {"put_order", [this] { return ended(store->put_order(order("new.test"))); }},
        {"delete_order", [this] { return ended(store->delete_order(name("a.test"))); }},
        {"put_events", [this] { return ended(store->put_events({event("new.test")})); }},
        {"put_failure",
         [this, failure] { return ended(store->put_failure(name("new.test"), failure)); }},
        {"delete_failure", [this] { return ended(store->delete_failure(name("a.test"))); }},
        {"put_verdict", [this] { return ended(store->put_verdict(name("new.test"), verdict())); }},
        {"delete_verdict", [this] { return ended(store->delete_verdict(name("a.test"))); }},
        {"put_buckets",
         [this] {
           return ended(store->put_buckets({{"i", "k", "new", 7, 0}}));
         }},
        {"put_account",
         [this] {
           return ended(store->put_account({"new", "u", "k"}));
         }},
        {"delete_account", [this] { return ended(store->delete_account("old")); }},
        {"put_staple",
         [this] {
           return ended(store->put_staple({.leaf = "new", .name = "new.test", .end = kNow}));
         }},
        {"delete_staple", [this] { return ended(store->delete_staple("old")); }},
        {"put_dns_proof",
         [this] {
           return ended(store->put_dns_proof({.domain = "_acme-challenge.a.test", .value = "v"}));
         }},
        {"delete_dns_proof", [this] { return ended(store->delete_dns_proof(1)); }},
        {"import_certificates",
         [this, imported = ca().issue({"imported.test"})] {
           return ended(
               store->import_certificates({{name("imported.test"), imported, "imported"}}));
         }},
        {"put_authority_key",
         [this] {
           return ended(authorities().put_authority_key(
               {.authority = "local", .certificate = "new", .link = "", .key_der = "k"}));
         }},
        {"put_issued", [this] { return ended(authorities().put_issued(issued("0b"))); }},
        {"revoke_issued",
         [this] { return ended(authorities().revoke_issued("local", "0a", kNow, 1)); }},
        {"put_acme_account",
         [this] {
           return ended(authorities().put_acme_account({"local", "a", "t", "{}"}));
         }},
        {"put_acme_order", [this] { return ended(authorities().put_acme_order(acme_order())); }},
        {"sweep_authority",
         [this] { return ended(authorities().sweep_authority("local", TestCa::now(), kNow)); }},
        {"delete_certificate_row", [this] { return ended(store->delete_certificate_row(3)); }},
        {"reseal", [this] { return ended(store->reseal()); }},
        {"delete_certificate", [this] { return ended(store->delete_certificate(name("b.test"))); }},
        {"delete_name", [this] { return ended(store->delete_name(name("c.test"))); }},
        {"sweep", [this] { return ended(store->sweep(TestCa::now(), hours(1))); }},
    };
  }
  // What each of them finds.
  void fill() {
    FailureRecord failure;
    failure.count = 1;
    for (const char* one : {"a.test", "b.test", "c.test"}) {
      put(one, ca().issue({one}));
      done(store->put_order(order(one)));
      done(store->put_failure(name(one), failure));
      done(store->put_verdict(name(one), verdict()));
    }
    done(store->put_account({"old", "u", "k"}));
    done(store->put_staple({.leaf = "old", .name = "a.test", .end = kNow}));
    ASSERT_TRUE(run(store->put_dns_proof({.domain = "d", .value = "v"})).has_value());
    done(store->put_buckets({{"i", "k", "", 7, 0}}));
    done(authorities().put_issued(issued("0a"), acme_order()));
    done(store->put_events({event("a.test")}));
  }
  void expect_sound() {
    store.reset();
    faults.set(Fault::kNone);
    EXPECT_TRUE(test::StoreFile(database).sound());
  }

  FaultyVfs faults;
};

struct Kind {
  Fault fault;
  const char* says;  // what the message has of the cause
  const char* remedy;
};

// NOLINTNEXTLINE(readability-identifier-naming): gtest's name
void PrintTo(const Kind& kind, std::ostream* out) {
  *out << kind.says;
}

class WriteFaultsTest : public StoreFaultsTest, public testing::WithParamInterface<Kind> {};

TEST_P(WriteFaultsTest, EveryWriteFailsClearlyReadsGoOnAndAllWorksAgainAfterwards) {
  fill();
  const std::string serial = found_serial("a.test");
  for (const Act& act : writes()) {
    faults.set(GetParam().fault);
    const Result<> failed = act.run();
    ASSERT_FALSE(failed.has_value()) << act.name;
    EXPECT_EQ(failed.error().code, ErrorCode::kIo) << act.name;
    EXPECT_THAT(failed.error().message,
                AllOf(HasSubstr(database.string()), HasSubstr(GetParam().says),
                      HasSubstr(GetParam().remedy)))
        << act.name;
    EXPECT_FALSE(run(store->self_test())) << act.name << ": no order is made meanwhile";
    EXPECT_EQ(found_serial("a.test"), serial) << act.name;
    EXPECT_TRUE(run(store->find_due(kNow, 5))) << act.name;
    EXPECT_TRUE(run(store->list_certificates({}))) << act.name;
    EXPECT_TRUE(run(store->load_orders(5))) << act.name;

    faults.set(Fault::kNone);
    const Result<> worked = act.run();
    EXPECT_TRUE(worked.has_value()) << act.name << ": " << worked.error().message;
    EXPECT_TRUE(run(store->self_test())) << act.name;
  }
  EXPECT_NE(found_serial("new.test"), "none");
  EXPECT_EQ(found_serial("b.test"), "none");
  expect_sound();
}

INSTANTIATE_TEST_SUITE_P(
    Disks, WriteFaultsTest,
    testing::Values(Kind{Fault::kDiskFull, "disk is full", "free space"},
                    Kind{Fault::kReadOnly, "Read-only file system", "look after the disk"},
                    Kind{Fault::kWriteError, "Input/output error", "look after the disk"},
                    Kind{Fault::kSyncError, "Input/output error", "look after the disk"}));

TEST_F(StoreFaultsTest, AReadErrorIsOneOfThatReadAndPasses) {
  fill();
  const std::string serial = found_serial("a.test");
  restart();  // nothing is in memory
  faults.set(Fault::kReadError);
  EXPECT_FALSE(run(store->self_test()));
  const std::vector<Act> reads{
      {"find_certificate", [this] { return ended(store->find_certificate(name("a.test"))); }},
      {"find_name", [this] { return ended(store->find_name(name("a.test"))); }},
      {"find_due", [this] { return ended(store->find_due(WallTime::max(), 5)); }},
      {"list_certificates", [this] { return ended(store->list_certificates({})); }},
      {"load_orders", [this] { return ended(store->load_orders(5)); }},
      {"find_staple", [this] { return ended(store->find_staple("old")); }},
      {"find_due_staples", [this] { return ended(store->find_due_staples(kNow, 5)); }},
      {"load_dns_proofs", [this] { return ended(store->load_dns_proofs(5)); }},
      {"find_events", [this] { return ended(store->find_events("a.test", 5)); }},
      {"load_buckets", [this] { return ended(store->load_buckets(WallTime(seconds(0)))); }},
      {"find_account", [this] { return ended(store->find_account("old")); }},
      {"load_authority_keys", [this] { return ended(authorities().load_authority_keys("local")); }},
      {"find_issued", [this] { return ended(authorities().find_issued("local", "0a")); }},
      {"list_revoked", [this] { return ended(authorities().list_revoked("local", 0, kNow)); }},
      {"find_acme_account", [this] { return ended(authorities().find_acme_account("l", "a")); }},
      {"find_acme_account_by_key",
       [this] { return ended(authorities().find_acme_account_by_key("l", "t")); }},
      {"count_acme_accounts", [this] { return ended(authorities().count_acme_accounts("l")); }},
      {"find_acme_order", [this] { return ended(authorities().find_acme_order("local", "o")); }},
      {"list_acme_orders",
       [this] { return ended(authorities().list_acme_orders("local", "a", "", 5)); }},
      {"last_acme_orders",
       [this] { return ended(authorities().last_acme_orders("local", "a", 5)); }},
      {"count_certificates", [this] { return ended(store->count_certificates()); }},
  };
  for (const Act& act : reads) {
    const Result<> failed = act.run();
    ASSERT_FALSE(failed.has_value()) << act.name;
    EXPECT_EQ(failed.error().code, ErrorCode::kIo);
    EXPECT_THAT(failed.error().message,
                AllOf(HasSubstr(database.string()), HasSubstr("Input/output error")))
        << act.name;
  }
  EXPECT_GT(faults.failures(), 0);
  faults.set(Fault::kNone);
  for (const Act& act : reads) EXPECT_TRUE(act.run()) << act.name;
  EXPECT_EQ(found_serial("a.test"), serial);
  EXPECT_EQ(number("SELECT count(*) FROM quarantine"), 0) << "nothing counts as damaged";
  expect_sound();
}

// Faults that begin in the middle of the work, at each write of it in turn.
TEST_F(StoreFaultsTest, WhatWasReportedDoneIsThereWhereverTheFaultBegan) {
  const Fault kinds[] = {Fault::kDiskFull, Fault::kWriteError, Fault::kSyncError};
  std::vector<std::pair<std::string, std::string>> kept;  // name, serial
  int failed = 0;
  for (int round = 0; round < 24; ++round) {
    faults.set(kinds[round % 3], 2 * round);
    for (int i = 0; i < 3; ++i) {
      const std::string one = "r" + std::to_string(round) + "-" + std::to_string(i) + ".test";
      const auto made = ca().issue({one});
      if (run(store->put_certificate(name(one), made, "ca"))) {
        kept.emplace_back(one, made->serial());
      } else {
        ++failed;
      }
    }
    faults.set(Fault::kNone);
    for (const auto& [one, serial] : kept) ASSERT_EQ(found_serial(one), serial) << one;
    if (round % 6 == 5) restart();
  }
  EXPECT_GT(failed, 10);
  EXPECT_GT(kept.size(), 10u);
  expect_sound();
}

TEST_F(StoreFaultsTest, APowerCutInAnyWriteLosesNothingThatWasReportedDone) {
  std::vector<std::pair<std::string, std::string>> kept;
  bool cut = true;
  int rounds = 0;
  // Until a round is over before the power goes.
  for (int writes = 0; cut && rounds < 60; writes += rounds < 20 ? 1 : 3, ++rounds) {
    faults.set(Fault::kPowerCut, writes);
    cut = false;
    for (int i = 0; i < 4 && !cut; ++i) {
      const std::string one = "w" + std::to_string(rounds) + "-" + std::to_string(i) + ".test";
      const auto made = ca().issue({one});
      // One that stays and one that is replaced.
      const auto put = run(store->put_certificate(name(one), made, "ca"));
      if (put) kept.emplace_back(one, made->serial());
      const auto replaced = ca().issue({"same.test"});
      const auto again = run(store->put_certificate(name("same.test"), replaced, "ca"));
      cut = !put || !again;
    }
    store.reset();
    faults.set(Fault::kNone);
    open();
    for (const auto& [one, serial] : kept) ASSERT_EQ(found_serial(one), serial) << one;
    ASSERT_TRUE(test::StoreFile(database).sound()) << "after " << writes << " writes";
  }
  EXPECT_GT(rounds, 10);
  EXPECT_EQ(number("SELECT count(*) FROM quarantine"), 0);
  std::printf("%d power cuts, %zu certificates were reported done, all are there\n", rounds,
              kept.size());
}

// Many in a transaction, and the power goes in the middle of it, or of the one after it.
TEST_F(StoreFaultsTest, APowerCutLosesNoCertificateThatAnAuthorityReportedAsStored) {
  std::vector<std::string> kept, refused;
  bool cut = true;
  int rounds = 0;
  for (int writes = 0; cut && rounds < 60; writes += rounds < 20 ? 1 : 3, ++rounds) {
    faults.set(Fault::kPowerCut, writes);
    cut = false;
    for (int transaction = 0; transaction < 3; ++transaction) {
      std::vector<std::string> serials;
      std::vector<Task<>> puts;
      for (int i = 0; i < 10; ++i) {
        serials.push_back(std::to_string(rounds) + "-" + std::to_string(10 * transaction + i));
        puts.push_back(authorities().put_issued(issued(serials.back()), acme_order()));
      }
      for (Task<>& one : puts) one.start();
      for (size_t i = 0; i < puts.size(); ++i) {
        loop.run_until([&] { return puts[i].done(); });
        (puts[i].outcome() ? kept : refused).push_back(serials[i]);
        cut = cut || !puts[i].outcome();
      }
    }
    store.reset();
    faults.set(Fault::kNone);
    open();
    for (const std::string& one : kept) {
      const auto found = run(authorities().find_issued("local", one));
      ASSERT_TRUE(found.has_value() && found->has_value()) << one << " after " << writes;
    }
    ASSERT_TRUE(test::StoreFile(database).sound()) << "after " << writes << " writes";
  }
  EXPECT_GT(rounds, 5);
  EXPECT_GT(refused.size(), 20u);
  std::printf("%d power cuts, %zu certificates were reported done, all are there\n", rounds,
              kept.size());
}

TEST_F(StoreFaultsTest, OpeningSaysWhatIsWrongAndWorksOnceItIsRight) {
  fill();
  store.reset();
  faults.set(Fault::kReadError);
  EXPECT_THAT(refusal(), AllOf(HasSubstr(database.string()), HasSubstr("look after the disk")));
  faults.set(Fault::kNone);
  open();
  EXPECT_NE(find("a.test"), nullptr);
}

TEST_F(StoreFaultsTest, AnUpgradeThatFailsIsDoneAgain) {
  store.reset();
  std::filesystem::remove_all(state);
  for (const Fault fault : {Fault::kDiskFull, Fault::kSyncError, Fault::kPowerCut}) {
    for (const int writes : {0, 2, 5, 9}) {
      faults.set(fault, writes);
      auto opened = try_open();
      opened = Error{ErrorCode::kIo, "closed"};
      faults.set(Fault::kNone);
      open();
      put("a.test", ca().issue({"a.test"}));
      store.reset();
      ASSERT_TRUE(test::StoreFile(database).sound());
      std::filesystem::remove_all(state);
    }
  }
}

}  // namespace
}  // namespace latchkey
