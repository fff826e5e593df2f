// What goes wrong around the store: disks, files, keys, processes that die.

#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <csignal>
#include <fstream>
#include <functional>
#include <random>

#include "base/file.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/state_lock.h"
#include "tests/cache/store_fixture.h"
#include "tests/support/store_file.h"

namespace latchkey {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class StoreTroubleTest : public StoreFixture {
 protected:
  void fill() {
    open();
    put("a.test", ca().issue({"a.test"}));
    store.reset();
  }
};

TEST_F(StoreTroubleTest, AFileWhereTheFolderShouldBe) {
  test::write_text(state, "x");
  EXPECT_THAT(refusal(), AllOf(HasSubstr(state.string()), HasSubstr("no folder")));
}

TEST_F(StoreTroubleTest, AFolderWhereTheDatabaseShouldBe) {
  std::filesystem::create_directories(database);
  EXPECT_THAT(refusal(), AllOf(HasSubstr(database.string()), HasSubstr("no regular file")));
}

TEST_F(StoreTroubleTest, AFolderThatCannotBeWritten) {
  // Not even root makes files in /proc/self.
  const auto opened = SqliteStore::open({"/proc/self/latchkey.db", key_file}, loop.address(), log);
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().message,
              AllOf(HasSubstr("/proc/self/latchkey.db"), HasSubstr("ours to write")));
}

TEST_F(StoreTroubleTest, AFileThatIsNoDatabaseIsLeftAsItIs) {
  std::filesystem::create_directories(state);
  const std::string precious(10'000, 'p');
  test::write_text(database, precious);
  EXPECT_THAT(refusal(), AllOf(HasSubstr(database.string()), HasSubstr("restore a backup"),
                               HasSubstr("move it")));
  EXPECT_EQ(test::read_text(database), precious);
}

TEST_F(StoreTroubleTest, ADamagedDatabaseSaysSoAndIsNotDeleted) {
  fill();
  {
    std::fstream file(database, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(100);  // behind the header: the schema's page
    const std::string noise(3900, '\xff');
    file.write(noise.data(), static_cast<std::streamsize>(noise.size()));
  }
  EXPECT_THAT(refusal(), AllOf(HasSubstr("damaged"), HasSubstr("restore a backup")));
  EXPECT_TRUE(std::filesystem::exists(database));
}

TEST_F(StoreTroubleTest, DamageInATableIsAnErrorOfThatLookUpOnly) {
  open();
  for (int i = 0; i < 50; ++i) {
    const std::string one = "n" + std::to_string(i) + ".test";
    put(one, ca().issue({one}));
  }
  store.reset();
  const auto size = std::filesystem::file_size(database);
  {
    std::fstream file(database, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(size - 3 * 4096));
    const std::string noise(4096, '\xff');
    file.write(noise.data(), static_cast<std::streamsize>(noise.size()));
  }
  open();
  int good = 0;
  for (int i = 0; i < 50; ++i) {
    const auto found = run(store->find_certificate(name("n" + std::to_string(i) + ".test")));
    if (found.has_value()) {
      good += *found != nullptr;
    } else {
      EXPECT_THAT(found.error().message, HasSubstr("damaged"));
    }
  }
  EXPECT_GT(good, 0);
  EXPECT_LT(good, 50);
}

TEST_F(StoreTroubleTest, ALostKeyFileIsNotReplaced) {
  fill();
  const std::string kept = test::read_text(key_file);
  std::filesystem::remove(key_file);
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr(key_file.string()), HasSubstr("lost"), HasSubstr("backup")));
  EXPECT_FALSE(std::filesystem::exists(key_file));
  ASSERT_TRUE(write_file_atomic(key_file, kept, 0600).has_value());
  open();
  EXPECT_NE(find("a.test"), nullptr);
}

TEST_F(StoreTroubleTest, AWrongKeyFileIsRefusedBeforeAnyRowIsTouched) {
  fill();
  const std::string kept = test::read_text(key_file);
  std::filesystem::remove(key_file);
  ASSERT_TRUE(SecretBox::make(key_file, log).has_value());
  EXPECT_THAT(refusal(), HasSubstr("not the right one"));
  ASSERT_TRUE(write_file_atomic(key_file, "garbage", 0600).has_value());
  EXPECT_THAT(refusal(), HasSubstr("line 1"));
  ASSERT_TRUE(write_file_atomic(key_file, kept, 0644).has_value());
  EXPECT_THAT(refusal(), HasSubstr("chmod 600"));
  ASSERT_TRUE(write_file_atomic(key_file, kept, 0600).has_value());
  open();
  EXPECT_NE(find("a.test"), nullptr);
}

// A key file from before a change of keys: what the new key sealed waits for it, untouched.
TEST_F(StoreTroubleTest, AKeyFileThatLacksTheNewerKeyIsRefusedAndNothingIsTakenAway) {
  fill();
  store.reset();
  const std::string before = test::read_text(key_file);
  const std::string after = "latchkey-key-1 0badcafe " + std::string(64, '7') + "\n" + before;
  ASSERT_TRUE(write_file_atomic(key_file, after, 0600).has_value());
  open();
  put("b.test", ca().issue({"b.test"}));
  EXPECT_NE(find("a.test"), nullptr);  // the old key still opens
  store.reset();
  ASSERT_TRUE(write_file_atomic(key_file, before, 0600).has_value());
  EXPECT_THAT(refusal(), AllOf(HasSubstr("not the right one"), HasSubstr("0badcafe")));
  ASSERT_TRUE(write_file_atomic(key_file, after, 0600).has_value());
  open();
  EXPECT_NE(find("a.test"), nullptr);
  EXPECT_NE(find("b.test"), nullptr);
}

// The other way round: an old key was dropped while rows still need it.
TEST_F(StoreTroubleTest, ARowWhoseKeyIsMissingIsAnErrorAndStays) {
  fill();
  store.reset();
  const std::string before = test::read_text(key_file);
  const std::string added = "latchkey-key-1 0badcafe " + std::string(64, '7') + "\n";
  ASSERT_TRUE(write_file_atomic(key_file, added + before, 0600).has_value());
  open();
  store.reset();
  ASSERT_TRUE(write_file_atomic(key_file, added, 0600).has_value());
  open();
  const auto found = run(store->find_certificate(name("a.test")));
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, ErrorCode::kIo);
  EXPECT_THAT(found.error().message, HasSubstr("put that key back"));
  store.reset();
  ASSERT_TRUE(write_file_atomic(key_file, added + before, 0600).has_value());
  open();
  EXPECT_NE(find("a.test"), nullptr);
}

TEST_F(StoreTroubleTest, ANewerSchemaIsRefused) {
  fill();
  {
    auto connection = sqlite::Connection::open(database);
    ASSERT_TRUE((*connection)
                    ->execute("UPDATE meta SET value = 99 WHERE key = 'schema_version'")
                    .has_value());
  }
  EXPECT_THAT(refusal(), HasSubstr("newer version"));
}

TEST_F(StoreTroubleTest, ALockOfAnotherProcessIsExplained) {
  auto one = sqlite::Connection::open(folder / "db");
  auto two = sqlite::Connection::open(folder / "db");
  ASSERT_TRUE((*two)->execute("PRAGMA busy_timeout=1").has_value());
  sqlite::Transaction first(**one);
  ASSERT_TRUE(first.begin().has_value());
  sqlite::Transaction second(**two);
  const auto begun = second.begin();
  ASSERT_FALSE(begun.has_value());
  EXPECT_THAT(begun.error().message, AllOf(HasSubstr("locked"), HasSubstr("another process")));
}

TEST_F(StoreTroubleTest, AFullDatabaseIsExplainedAndLosesNothing) {
  auto opened = sqlite::Connection::open(folder / "db");
  sqlite::Connection& db = **opened;
  ASSERT_TRUE(db.execute("CREATE TABLE t (a BLOB); PRAGMA max_page_count=10").has_value());
  ASSERT_TRUE(db.execute("INSERT INTO t VALUES (zeroblob(1000))").has_value());
  {
    sqlite::Transaction transaction(db);
    ASSERT_TRUE(transaction.begin().has_value());
    const auto full = db.execute("INSERT INTO t VALUES (zeroblob(1000000))");
    ASSERT_FALSE(full.has_value());
    EXPECT_EQ(full.error().code, ErrorCode::kIo);
    EXPECT_THAT(full.error().message, AllOf(HasSubstr("disk is full"), HasSubstr("free space")));
  }
  sqlite::Query query = db.query("SELECT count(*) FROM t");
  ASSERT_TRUE(*query.next());
  EXPECT_EQ(query.integer(0), 1);
}

// Runs `body` there: limits and mounts go with it.
int in_child(pid_t child, const std::function<int()>& body) {
  if (child == 0) ::_exit(body());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

TEST_F(StoreTroubleTest, AFileSizeLimitFailsThePutAndKeepsWhatThereWas) {
  fill();
  const int result = in_child(fork_with_a_loop(), [&] {
    ::signal(SIGXFSZ, SIG_IGN);
    open();
    const rlimit limit{64 << 10, 64 << 10};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 200; ++i) {
      const std::string one = "n" + std::to_string(i) + ".test";
      const auto done = run(store->put_certificate(name(one), ca().issue({one}), "ca"));
      if (done.has_value()) continue;
      const bool explained = done.error().message.find(database.string()) != std::string::npos &&
                             done.error().message.find("disk") != std::string::npos;
      const bool readable = found_serial("a.test") != "none";
      return explained && readable ? 0 : 2;
    }
    return 3;
  });
  EXPECT_EQ(result, 0);
  open();
  EXPECT_NE(find("a.test"), nullptr);
}

TEST_F(StoreTroubleTest, APutFailureOnAFullDiskSaysSoAndWorksAgainLater) {
  fill();
  const int result = in_child(fork_with_a_loop(), [&] {
    ::signal(SIGXFSZ, SIG_IGN);
    open();
    FailureRecord failure;
    failure.message = std::string(2000, 'x');
    const rlimit limit{128 << 10, RLIM_INFINITY};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    for (int i = 0; i < 1000; ++i) {
      const auto done = run(store->put_failure(name("n" + std::to_string(i) + ".test"), failure));
      if (done.has_value()) continue;
      if (done.error().code != ErrorCode::kIo) return 2;
      if (done.error().message.find(database.string()) == std::string::npos) return 3;
      // What there was is found, what was not put is not.
      const auto before = run(store->find_name(name("n" + std::to_string(i - 1) + ".test")));
      if (!before || !before->failure || before->failure->message != failure.message) return 4;
      const auto missing = run(store->find_name(name("n" + std::to_string(i) + ".test")));
      if (!missing || missing->failure) return 5;
      if (found_serial("a.test") == "none") return 6;
      const rlimit none{RLIM_INFINITY, RLIM_INFINITY};
      ::setrlimit(RLIMIT_FSIZE, &none);
      return run(store->put_failure(name("later.test"), failure)).has_value() ? 0 : 7;
    }
    return 8;
  });
  EXPECT_EQ(result, 0);
}

TEST_F(StoreTroubleTest, AFullDiskFailsTheSelfTestAndThePutAndLosesNothing) {
  constexpr int kCannotMount = 77;
  std::filesystem::create_directories(state);
  const int result = in_child(fork_with_a_loop(), [&] {
    if (::unshare(CLONE_NEWNS) != 0 ||
        ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("tmpfs", state.c_str(), "tmpfs", 0, "size=20m,mode=0700") != 0) {
      return kCannotMount;
    }
    open();
    put("a.test", ca().issue({"a.test"}));
    if (!run(store->self_test()).has_value()) return 2;
    test::write_text(state / "ballast", std::string(6 << 20, 'x'));
    const auto tested = run(store->self_test());
    if (tested.has_value() || tested.error().message.find("16 MiB") == std::string::npos) return 3;
    for (int i = 0; i < 20'000; ++i) {
      if (i == 10) {
        std::ofstream rest(state / "more", std::ios::binary);
        const std::string block(4096, 'x');
        while (rest.write(block.data(), 4096).flush()) continue;
      }
      const std::string one = "n" + std::to_string(i) + ".test";
      const auto done = run(store->put_certificate(name(one), ca().issue({one}), "ca"));
      if (done.has_value()) continue;
      if (done.error().message.find("disk is full") == std::string::npos) {
        std::printf("%s\n", done.error().message.c_str());
        return 4;
      }
      if (found_serial("a.test") == "none") return 5;
      std::filesystem::remove(state / "more");
      std::filesystem::remove(state / "ballast");
      if (!run(store->put_certificate(name(one), ca().issue({one}), "ca")).has_value()) return 6;
      return run(store->self_test()).has_value() ? 0 : 7;
    }
    return 8;
  });
  if (result == kCannotMount) GTEST_SKIP() << "may not mount a small disk here";
  EXPECT_EQ(result, 0);
}

TEST_F(StoreTroubleTest, NothingThatWasReportedDoneIsLostByAKill) {
  std::mt19937 random(std::random_device{}());
  size_t total = 0;
  std::vector<std::string> done;
  (void)ca();  // made once, before the children
  for (int round = 0; round < 20; ++round) {
    int out[2];
    ASSERT_EQ(::pipe(out), 0);
    const pid_t child = fork_with_a_loop();
    if (child == 0) {
      ::close(out[0]);
      const auto lock = StateLock::acquire(state);
      if (!lock) ::_exit(3);
      auto opened = try_open();
      if (!opened) ::_exit(4);
      for (int i = 0;; ++i) {
        // Some are new and some replace, so that rows go too.
        const std::string one =
            "r" + std::to_string(i % 3 == 0 ? 0 : round) + "-" + std::to_string(i) + ".test";
        const auto put = run((*opened)->put_certificate(name(one), ca().issue({one}), "ca"));
        if (!put) ::_exit(5);
        const std::string line = one + "\n";
        if (::write(out[1], line.data(), line.size()) < 0) ::_exit(6);
      }
    }
    ::close(out[1]);
    // The kill comes at some moment of the work behind a certain number of puts.
    std::string text;
    char buffer[4096];
    const size_t enough = random() % 200;
    while (text.size() < enough) {
      const ssize_t n = ::read(out[0], buffer, sizeof buffer);
      ASSERT_GT(n, 0) << "the child failed";
      text.append(buffer, static_cast<size_t>(n));
    }
    ::usleep(random() % 3000);
    ::kill(child, SIGKILL);
    for (ssize_t n = 0; (n = ::read(out[0], buffer, sizeof buffer)) > 0;) {
      text.append(buffer, static_cast<size_t>(n));
    }
    ::close(out[0]);
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "exit " << WEXITSTATUS(status);

    for (size_t end = 0; (end = text.find('\n')) != text.npos; text.erase(0, end + 1)) {
      done.push_back(text.substr(0, end));
      ++total;
    }
    const auto lock = StateLock::acquire(state);
    ASSERT_TRUE(lock.has_value()) << "the kill released it";
    open();
    for (const std::string& one : done) ASSERT_NE(find(one), nullptr) << one;
    store.reset();
    ASSERT_TRUE(test::StoreFile(database).sound());
  }
  EXPECT_GT(total, 20u);
  EXPECT_THAT(logged(), testing::Not(HasSubstr("store_row_quarantined")));
  std::printf("%zu puts were reported done before 20 kills, all are there\n", total);
}

}  // namespace
}  // namespace latchkey
