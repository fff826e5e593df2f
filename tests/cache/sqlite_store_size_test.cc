// What a store costs does not depend on how much is in it.
#include <cstdlib>
#include <fstream>

#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "tests/cache/store_fixture.h"
#include "tests/support/eventually.h"

namespace latchkey {
namespace {

constexpr int64_t kMany = 1'000'000;

// Of this process, now.
int64_t resident_kib() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmRSS:")) return std::atoll(line.c_str() + 6);
  }
  return 0;
}

class SqliteStoreSizeTest : public StoreFixture {
 protected:
  struct Cost {
    Millis opening{0};
    int64_t kib = 0;  // of memory, open and used
  };

  Cost open_and_use() {
    Cost cost;
    const int64_t before = resident_kib();
    const test::Stopwatch time;
    open();
    cost.opening = time.elapsed();
    for (int64_t i = 0; i < 1000; ++i) {  // everywhere between the names that fill() adds
      const std::string number = std::to_string(10'000'000 + i * kMany / 1000);
      EXPECT_EQ(found_serial("n" + number.substr(1) + "x.test"), "none");
    }
    EXPECT_EQ(found_serial("real.test"), serial_);
    cost.kib = resident_kib() - before;
    store.reset();
    return cost;
  }

  // Copies of the real row. Their keys are sealed for another name: they are there to be many.
  void fill() {
    auto connection = sqlite::Connection::open(database);
    ASSERT_TRUE(connection.has_value());
    const auto execute = [&](const std::string& sql) {
      const auto done = (*connection)->execute(sql);
      ASSERT_TRUE(done.has_value()) << done.error().message;
    };
    execute("PRAGMA synchronous=OFF");
    constexpr int64_t kAtOnce = 20'000;  // a transaction, so that the write-ahead log stays small
    for (int64_t first = 0; first < kMany; first += kAtOnce) {
      const std::string numbers = "WITH RECURSIVE number (n) AS (VALUES (" + std::to_string(first) +
                                  ") UNION ALL SELECT n + 1 FROM number WHERE n + 1 < " +
                                  std::to_string(first + kAtOnce) + ") ";
      execute("BEGIN");
      execute(
          "INSERT INTO certificate (name, key_type, generation, issuer, not_before, not_after, "
          "renew_at, leaf, chain_id, sealed_key) " +
          numbers +
          "SELECT printf('n%07d.test', n), key_type, 1, issuer, not_before, not_after, "
          "renew_at + n, leaf, chain_id, sealed_key "
          "FROM number, (SELECT * FROM certificate WHERE name = 'real.test')");
      execute(
          "INSERT INTO certificate_name (name, id) SELECT name, id FROM certificate "
          "ORDER BY id DESC LIMIT " +
          std::to_string(kAtOnce));
      execute("COMMIT");
    }
  }

  std::string serial_;
};

// A gigabyte of disk: with LATCHKEY_LONG only (tests/run --long).
TEST_F(SqliteStoreSizeTest, AMillionRowsCostNoTimeAtTheOpeningAndNoMemory) {
  if (std::getenv("LATCHKEY_LONG") == nullptr) GTEST_SKIP() << "for tests/run --long";
  open();
  const CertificatePtr real = ca().issue({"real.test"});
  serial_ = real->serial();
  put("real.test", real);
  store.reset();
  open_and_use();  // what is allocated once in the process is not the rows' cost
  const Cost few = open_and_use();

  fill();
  const Cost many = open_and_use();
  std::printf("opening: %d ms, with %d rows %d ms; memory: %d KiB, %d KiB\n",
              static_cast<int>(few.opening.count()), static_cast<int>(kMany),
              static_cast<int>(many.opening.count()), static_cast<int>(few.kib),
              static_cast<int>(many.kib));
  EXPECT_LT(many.opening, few.opening + Millis(250));
  // Each of the three connections keeps at most 2 MiB of pages.
  EXPECT_LT(many.kib, few.kib + 8 * 1024);

  open();
  EXPECT_EQ(*run(store->count_certificates()), static_cast<size_t>(kMany) + 1);
  put("later.test", ca().issue({"later.test"}));
  EXPECT_NE(found_serial("later.test"), "none");
}

}  // namespace
}  // namespace latchkey
