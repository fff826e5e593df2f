#include "cache/state_lock.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "base/file.h"
#include "tests/support/temp_folder.h"

namespace latchkey {
namespace {

using testing::HasSubstr;

class StateLockTest : public testing::Test {
 protected:
  test::TempFolder folder;
  const std::filesystem::path state = folder / "a" / "state";
};

TEST_F(StateLockTest, MakesTheFolderAndWritesItsPidDown) {
  const auto lock = StateLock::acquire(state);
  ASSERT_TRUE(lock.has_value()) << lock.error().message;
  EXPECT_EQ(test::read_text(state / "lock"), std::to_string(::getpid()) + "\n");
  struct stat found {};
  ASSERT_EQ(::stat(state.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
  ASSERT_EQ(::stat((state / "lock").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0600u);
}

TEST_F(StateLockTest, IsFreeAgainWhenItGoes) {
  {
    auto lock = StateLock::acquire(state);
    ASSERT_TRUE(lock.has_value());
    StateLock moved = *std::move(lock);
    EXPECT_GE(moved.descriptor(), 0);
    EXPECT_FALSE(StateLock::acquire(state).has_value());
  }
  EXPECT_TRUE(StateLock::acquire(state).has_value());
}

TEST_F(StateLockTest, ASecondProcessIsToldWhoHasItAndWhatToDo) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto lock = StateLock::acquire(state);
    const char byte = lock.has_value() ? 'y' : 'n';
    if (::write(ready[1], &byte, 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'y');
  const auto second = StateLock::acquire(state);
  ASSERT_FALSE(second.has_value());
  EXPECT_THAT(second.error().message, HasSubstr(state.string()));
  EXPECT_THAT(second.error().message, HasSubstr("PID " + std::to_string(child)));
  EXPECT_THAT(second.error().message, HasSubstr("stop that one"));

  ::kill(child, SIGKILL);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);
  EXPECT_TRUE(StateLock::acquire(state).has_value()) << "a killed process holds nothing";
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(StateLockTest, WhatIsInheritedIsTakenOnlyWhereItIsLockedOrFree) {
  {
    const auto held = StateLock::acquire(state);
    ASSERT_TRUE(held.has_value());
    const auto open_it = [&] { return ::open((state / "lock").c_str(), O_RDWR | O_CLOEXEC); };
    EXPECT_FALSE(StateLock::take(state, StateLock::adopt(open_it())).has_value());
    test::write_text(state / "lock", "123\n");
    const auto shared = StateLock::take(state, StateLock::adopt(::dup(held->descriptor())));
    EXPECT_TRUE(shared.has_value());
    EXPECT_EQ(test::read_text(state / "lock"), std::to_string(::getpid()) + "\n");
  }
  EXPECT_TRUE(StateLock::acquire(state).has_value());
}

TEST_F(StateLockTest, WhoseSuccessorFailedWritesItsPidDownAgain) {
  const auto lock = StateLock::acquire(state);
  ASSERT_TRUE(lock.has_value());
  test::write_text(state / "lock", "1234567\n");
  ASSERT_TRUE(lock->take_back(state));
  EXPECT_EQ(test::read_text(state / "lock"), std::to_string(::getpid()) + "\n");
}

TEST_F(StateLockTest, AFileWhereTheFolderShouldBeIsAnError) {
  test::write_text(folder / "file", "x");
  const auto lock = StateLock::acquire(folder / "file");
  ASSERT_FALSE(lock.has_value());
  EXPECT_THAT(lock.error().message, HasSubstr((folder / "file").string()));
  std::filesystem::create_directories(state / "lock");
  EXPECT_FALSE(StateLock::acquire(state).has_value());
}

TEST_F(StateLockTest, WarnsOfFileSystemsThatDoNotLast) {
  EXPECT_EQ(volatile_filesystem_warning("/proc/self"), std::nullopt);
  std::ifstream mounts("/proc/mounts");
  std::string device;
  std::string point;
  std::string type;
  std::string rest;
  while (mounts >> device >> point >> type && std::getline(mounts, rest)) {
    if (type != "tmpfs" && type != "overlay") continue;
    const auto below = std::filesystem::path(point) / "not" / "there" / "yet";
    struct stat visible {};
    if (::stat(point.c_str(), &visible) != 0) continue;
    if (point == "/") continue;  // what lies below may be mounted over
    const auto warning = volatile_filesystem_warning(below);
    ASSERT_TRUE(warning.has_value()) << point;
    EXPECT_THAT(*warning, HasSubstr(below.string()));
    EXPECT_THAT(*warning, HasSubstr(type == "tmpfs" ? "memory" : "overlayfs"));
    break;
  }
}

}  // namespace
}  // namespace latchkey
