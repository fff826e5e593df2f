#pragma once
#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <memory>
#include <string>

#include "base/loop.h"
#include "cache/sqlite.h"
#include "cache/sqlite_store.h"
#include "tests/support/run_task.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_certificates.h"

namespace latchkey {

// A store in a folder of the test's own, driven by a loop of the test's own.
class StoreFixture : public testing::Test {
 protected:
  static ServerName name(std::string_view text) {
    return *(text.starts_with("*.") ? ServerName::parse_wildcard(text) : ServerName::parse(text));
  }
  static const TestCa& ca() {
    static const TestCa one;
    return one;
  }

  SqliteStore::Options options() const { return {database, key_file, vfs}; }
  // A child process with a loop of its own: the epoll sets of the one here would be shared, so that
  // one is not even destroyed there.
  pid_t fork_with_a_loop() {
    const pid_t child = ::fork();
    if (child == 0) std::construct_at(&loop);
    return child;
  }
  Result<std::unique_ptr<SqliteStore>> try_open() {
    return SqliteStore::open(options(), loop.address(), log);
  }
  void open() {
    auto opened = try_open();
    ASSERT_TRUE(opened.has_value()) << opened.error().message;
    store = *std::move(opened);
  }
  // Why it does not open.
  std::string refusal() {
    auto opened = try_open();
    EXPECT_FALSE(opened.has_value());
    return opened ? "" : opened.error().message;
  }

  template <typename T>
  Result<T> run(Task<T> task) {
    return test::run(loop, std::move(task));
  }
  void put(std::string_view text, const CertificatePtr& certificate) {
    const auto done = run(store->put_certificate(name(text), certificate, "ca"));
    ASSERT_TRUE(done.has_value()) << done.error().message;
  }
  CertificatePtr find(std::string_view text) {
    auto found = run(store->find_certificate(name(text)));
    EXPECT_TRUE(found.has_value()) << found.error().message;
    return found ? *std::move(found) : nullptr;
  }
  std::string found_serial(std::string_view text) {
    const CertificatePtr found = find(text);
    return found == nullptr ? "none" : found->serial();
  }
  // Looks into the file and changes it behind the store's back.
  void execute(const std::string& sql) const {
    auto connection = sqlite::Connection::open(database);
    ASSERT_TRUE(connection.has_value());
    const auto done = (*connection)->execute(sql);
    ASSERT_TRUE(done.has_value()) << done.error().message;
  }
  int64_t number(const char* sql) const {
    auto connection = sqlite::Connection::open(database);
    EXPECT_TRUE(connection.has_value());
    sqlite::Query query = (*connection)->query(sql);
    const auto row = query.next();
    return row && *row ? query.integer(0) : -1;
  }
  void done(Task<> task) {
    const auto result = run(std::move(task));
    ASSERT_TRUE(result.has_value()) << result.error().message;
  }
  NameRecord look(std::string_view text) {
    auto found = run(store->find_name(name(text)));
    EXPECT_TRUE(found.has_value()) << found.error().message;
    return found ? *std::move(found) : NameRecord();
  }
  void restart() {
    store.reset();
    open();
  }
  std::string logged() const { return test::read_text(folder / "log"); }

  test::TempFolder folder;
  const std::filesystem::path state = folder / "state";
  const std::filesystem::path database = state / "latchkey.db";
  const std::filesystem::path key_file = state / "encryption.key";
  std::string vfs;  // of the store
  const int log_fd = ::open((folder / "log").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  Log log{log_fd, Log::Format::kJson, LogLevel::kDebug};
  Loop loop;
  std::unique_ptr<SqliteStore> store;
};

}  // namespace latchkey
