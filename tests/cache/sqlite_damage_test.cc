// Rows that were damaged in any column: never a crash, never a wrong answer, and the rest is
// served.
#include <random>

#include "tests/cache/store_fixture.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using testing::ElementsAre;

class DamageTest : public StoreFixture {
 protected:
  void SetUp() override {
    open();
    listen();
    for (const char* one : {"a.test", "b.test"}) {
      put(one, ca().issue({one}));
      done(store->put_order({.name = name(one),
                             .issuer = "ca",
                             .directory = "d",
                             .account = "a",
                             .url = "o",
                             .key_der = "the key",
                             .made = TestCa::now()}));
      done(store->put_verdict(name(one), {.grant = {.tenant = "t"}}));
      FailureRecord failure;
      failure.count = 1;
      done(store->put_failure(name(one), failure));
      const Event event{.at = TestCa::now(), .kind = "k", .name = one, .keep_until = TestCa::now()};
      done(store->put_events({event}));
      done(store->put_account({one, "u", "account key", "next"}));
    }
    done(store->put_buckets({{"i", "k", "", 7, 0}}));
  }
  void listen() {
    store->on_quarantined([this](const std::string& which, const std::string& cause) {
      heard.push_back(which);
      EXPECT_FALSE(cause.empty());
    });
  }
  // All that can be read; what it finds is judged by the caller.
  void read_everything() {
    for (const char* one : {"a.test", "b.test"}) {
      (void)run(store->find_certificate(name(one)));
      (void)run(store->find_name(name(one)));
      (void)run(store->find_events(one, 100));
      (void)run(store->find_account(one));
    }
    (void)run(store->find_due(WallTime::max(), 100));
    (void)run(store->list_certificates({}));
    (void)run(store->load_orders(100));
    (void)run(store->find_events("", 100));
    (void)run(store->load_buckets(WallTime(std::chrono::seconds(0))));
    (void)run(store->reseal());
  }

  std::vector<std::string> heard;
};

TEST_F(DamageTest, TheListenerHearsWhichCertificateWasSetAsideAndTheRestOfTheNameIsFound) {
  const auto serial = found_serial("b.test");
  for (const char* damage :
       {"UPDATE certificate SET leaf = substr(leaf, 1, 100) WHERE name = 'a.test'",
        "UPDATE certificate SET leaf = (SELECT leaf FROM certificate WHERE name = 'b.test') "
        "WHERE name = 'a.test'",
        "UPDATE certificate SET sealed_key = zeroblob(200) WHERE name = 'a.test'",
        "UPDATE certificate SET sealed_key = (SELECT sealed_key FROM certificate "
        "WHERE name = 'b.test') WHERE name = 'a.test'",
        "UPDATE certificate SET name = 'x.test' WHERE name = 'a.test'"}) {
    put("a.test", ca().issue({"a.test"}));
    heard.clear();
    execute(damage);
    const NameRecord found = look("a.test");
    EXPECT_EQ(found.certificate, nullptr) << damage;
    EXPECT_FALSE(found.info.has_value());
    EXPECT_TRUE(found.verdict.has_value() && found.failure.has_value()) << damage;
    EXPECT_EQ(heard.size(), 1u) << damage;
    EXPECT_EQ(found_serial("b.test"), serial) << damage;
  }
  // A chain that several have: each of them is found out by itself.
  heard.clear();
  put("a.test", ca().issue({"a.test"}));
  execute("UPDATE chain SET issuers = substr(issuers, 5)");
  EXPECT_EQ(find("a.test"), nullptr);
  EXPECT_EQ(find("b.test"), nullptr);
  EXPECT_THAT(heard, ElementsAre("a.test", "b.test"));
  put("a.test", ca().issue({"a.test"}));
  EXPECT_NE(find("a.test"), nullptr) << "the same chain may be put again";
}

TEST_F(DamageTest, TwoThatFindTheSameDamageTellOfItOnce) {
  execute("UPDATE certificate SET leaf = x'00' WHERE name = 'a.test'");
  Task<CertificatePtr> one = store->find_certificate(name("a.test"));
  Task<CertificatePtr> two = store->find_certificate(name("a.test"));
  one.start();
  two.start();
  loop.run_until([&] { return one.done() && two.done(); });
  EXPECT_EQ(*one.outcome(), nullptr);
  EXPECT_EQ(*two.outcome(), nullptr);
  EXPECT_THAT(heard, ElementsAre("a.test"));
  EXPECT_EQ(number("SELECT count(*) FROM quarantine"), 1);
}

TEST_F(DamageTest, TheListenerHearsOfItWhenTheTaskIsDroppedMeanwhile) {
  execute("UPDATE certificate SET leaf = x'00' WHERE name = 'a.test'");
  Task<CertificatePtr> finding = store->find_certificate(name("a.test"));
  finding.start();
  // Until the row is being moved.
  while (number("SELECT count(*) FROM quarantine") == 0) uv_run(&loop.uv(), UV_RUN_NOWAIT);
  { const Task<CertificatePtr> dropped = std::move(finding); }
  loop.run_until([&] { return !heard.empty(); });
  EXPECT_THAT(heard, ElementsAre("a.test"));
}

TEST_F(DamageTest, WhatCannotBeTakenAwayIsAnErrorAndNoEndlessLoop) {
  execute(
      "UPDATE certificate SET leaf = x'00' WHERE name = 'a.test';"
      "CREATE TRIGGER t BEFORE DELETE ON certificate BEGIN SELECT raise(ABORT, 'no'); END");
  EXPECT_FALSE(run(store->find_certificate(name("a.test"))));
  EXPECT_TRUE(heard.empty());
  EXPECT_NE(find("b.test"), nullptr);
}

TEST_F(DamageTest, AnyColumnOfAnyRowMayHoldAnything) {
  struct Column {
    std::string table, name;
  };
  std::vector<Column> columns;
  const test::StoreFile file(database);
  for (const std::string& table : file.query("SELECT name FROM sqlite_schema WHERE type = 'table' "
                                             "AND name NOT LIKE 'sqlite_%' AND name <> 'meta'")) {
    for (const std::string& one : file.query("SELECT name FROM pragma_table_info('" + table +
                                             "') WHERE type <> 'INTEGER' OR pk = 0")) {
      columns.push_back({table, one});
    }
  }
  EXPECT_GT(columns.size(), 50u);
  const std::string kept = "VACUUM INTO '" + (folder / "kept.db").string() + "'";
  execute(kept);
  std::minstd_rand random(7);
  const char* values[] = {"x'ff00fe'",           "''",    "zeroblob(5000)", "-9223372036854775808",
                          "9223372036854775807", "1e308", "'\xc3\x28'",     "randomblob(100)"};
  for (const Column& column : columns) {
    const char* value = values[random() % std::size(values)];
    store.reset();
    for (const char* suffix : {"", "-wal", "-shm"}) {
      std::filesystem::remove(database.string() + suffix);
    }
    std::filesystem::copy_file(folder / "kept.db", database);
    {
      auto connection = sqlite::Connection::open(database);
      // Where it breaks a rule of the schema it cannot be.
      (void)(*connection)->execute("PRAGMA foreign_keys=OFF");
      const std::string sql = "UPDATE OR IGNORE " + column.table + " SET " + column.name + " = " +
                              value + " WHERE rowid = 1";
      if (!(*connection)->execute(sql)) {
        (void)(*connection)
            ->execute("UPDATE OR IGNORE " + column.table + " SET " + column.name + " = " + value);
      }
    }
    open();
    listen();
    SCOPED_TRACE(column.table + "." + column.name + " = " + value);
    read_everything();
    EXPECT_TRUE(run(store->sweep(TestCa::now(), hours(1))));
    put("c.test", ca().issue({"c.test"}));
    EXPECT_NE(find("c.test"), nullptr) << "new ones are kept";
    read_everything();
    store.reset();
    EXPECT_TRUE(file.sound());
  }
}

}  // namespace
}  // namespace latchkey
