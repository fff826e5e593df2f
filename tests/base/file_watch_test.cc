#include "base/file_watch.h"

#include <gtest/gtest.h>

#include <fstream>
#include <optional>

#include "tests/support/manual_clock.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

// The number of the looks (from 1) at which a change is reported.
std::vector<int> reports(const std::vector<std::string>& looks) {
  Settling settling("a");
  std::vector<int> out;
  for (size_t i = 0; i < looks.size(); ++i) {
    if (settling.look(looks[i])) out.push_back(static_cast<int>(i) + 1);
  }
  return out;
}

TEST(SettlingTest, WhatDoesNotChangeIsNotReported) {
  EXPECT_EQ(reports({"a", "a", "a"}), std::vector<int>{});
}

TEST(SettlingTest, AChangeIsReportedOnceAtTheFirstQuietLook) {
  EXPECT_EQ(reports({"a", "b", "b", "b", "b"}), std::vector<int>{3});
  EXPECT_EQ(reports({"b", "b", "c", "c", "c"}), (std::vector<int>{2, 4}));
}

TEST(SettlingTest, AChangeUnderWayWaitsUntilItIsQuiet) {
  EXPECT_EQ(reports({"b", "c", "d", "d", "d"}), std::vector<int>{4});
}

TEST(SettlingTest, WhatNeverRestsIsReportedEveryFiveLooks) {
  EXPECT_EQ(reports({"b", "c", "d", "e", "f", "g", "h", "i", "j", "k"}), (std::vector<int>{5, 10}));
  EXPECT_EQ(reports({"b", "c", "d", "e", "f", "f", "g", "g"}), (std::vector<int>{5, 8}));
}

TEST(SettlingTest, AChangeThatIsTakenBackIsReportedToo) {
  EXPECT_EQ(reports({"b", "a", "a"}), std::vector<int>{3});  // somebody may have read the b
}

class FileWatchTest : public testing::Test {
 protected:
  void watch(std::vector<fs::path> files) {
    watch_.emplace(
        loop_.uv(), clock_, std::move(files), [this] { on_change(); }, 2s);
  }
  virtual void on_change() { ++changes_; }

  // One interval passes, and the look that it brings.
  void look() {
    clock_.advance(2s);
    loop_.run_until([this] { return clock_.pending() == 1; });
  }
  void look(int times) {
    while (times-- > 0) look();
  }
  fs::path path(const char* name) const { return folder_ / name; }
  void write(const char* name, std::string_view text) { test::write_text(path(name), text); }

  test::TempFolder folder_;
  test::TestLoop loop_;
  ManualClock clock_;
  int changes_ = 0;
  std::optional<FileWatch> watch_;
};

TEST_F(FileWatchTest, NothingHappensToFilesThatStayAsTheyAre) {
  write("a.txt", "one");
  watch({path("a.txt"), path("missing.txt")});
  look(10);
  EXPECT_EQ(changes_, 0);
}

TEST_F(FileWatchTest, SeesAReplacement) {
  write("a.txt", "one");
  watch({path("a.txt")});
  write("new.txt", "two");
  fs::rename(path("new.txt"), path("a.txt"));
  look();
  EXPECT_EQ(changes_, 0);  // not quiet yet
  look();
  EXPECT_EQ(changes_, 1);
  look(5);
  EXPECT_EQ(changes_, 1);
}

TEST_F(FileWatchTest, SeesAChangeInPlaceOfTheSameLengthAndTime) {
  write("a.txt", "one");
  const auto time = fs::last_write_time(path("a.txt"));
  watch({path("a.txt")});
  // The file system's clock ticks every few milliseconds: write until it has.
  const auto end = std::chrono::steady_clock::now() + 5s;
  while (changes_ == 0 && std::chrono::steady_clock::now() < end) {
    std::ofstream(path("a.txt"), std::ios::in | std::ios::out) << "two";
    fs::last_write_time(path("a.txt"), time);
    look(6);
  }
  EXPECT_EQ(changes_, 1);
}

TEST_F(FileWatchTest, SeesAFileComeAndGo) {
  watch({path("a.txt")});
  write("a.txt", "one");
  look(2);
  EXPECT_EQ(changes_, 1);
  fs::remove(path("a.txt"));
  look(2);
  EXPECT_EQ(changes_, 2);
}

TEST_F(FileWatchTest, SeesAnAncestorsLinkBeTurned) {
  // As Kubernetes mounts a ConfigMap: a.txt -> ..data/a.txt, ..data -> a folder of each version.
  fs::create_directory(path("v1"));
  fs::create_directory(path("v2"));
  write("v1/a.txt", "one");
  write("v2/a.txt", "two");
  fs::create_directory_symlink("v1", path("..data"));
  fs::create_symlink("..data/a.txt", path("a.txt"));
  watch({path("a.txt")});
  fs::create_directory_symlink("v2", path("..data_tmp"));
  fs::rename(path("..data_tmp"), path("..data"));
  look(2);
  EXPECT_EQ(changes_, 1);
}

TEST_F(FileWatchTest, SeesNewPermissions) {
  write("a.txt", "one");
  watch({path("a.txt")});
  fs::permissions(path("a.txt"), fs::perms::owner_read);
  look(2);
  EXPECT_EQ(changes_, 1);
}

TEST_F(FileWatchTest, AFileThatIsBeingWrittenIsReportedWhenItIsQuiet) {
  write("a.txt", "");
  watch({path("a.txt")});
  for (int i = 0; i < 3; ++i) {
    std::ofstream(path("a.txt"), std::ios::app) << "more";
    look();
  }
  EXPECT_EQ(changes_, 0);
  look();
  EXPECT_EQ(changes_, 1);
}

TEST_F(FileWatchTest, AFileThatNeverRestsIsReportedAfterFiveIntervals) {
  write("a.txt", "");
  watch({path("a.txt")});
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(changes_, 0);
    std::ofstream(path("a.txt"), std::ios::app) << "more";
    look();
  }
  EXPECT_EQ(changes_, 1);
}

TEST_F(FileWatchTest, SeveralFilesThatChangeTogetherAreOneChange) {
  watch({path("a.txt"), path("b.txt"), path("c.txt")});
  write("a.txt", "one");
  write("b.txt", "two");
  look();
  write("c.txt", "three");
  look(2);
  EXPECT_EQ(changes_, 1);
}

TEST_F(FileWatchTest, NothingComesAfterItsEnd) {
  watch({path("a.txt")});
  write("a.txt", "one");
  look();
  clock_.advance(2s);  // a look is under way
  watch_.reset();
  for (int i = 0; i < 20; ++i) loop_.turn();
  EXPECT_EQ(changes_, 0);
  EXPECT_EQ(clock_.pending(), 0u);
}

class SelfEndingWatchTest : public FileWatchTest {
 protected:
  void on_change() override {
    FileWatchTest::on_change();
    watch_.reset();
  }
};

TEST_F(SelfEndingWatchTest, ItsCallbackMayEndIt) {
  watch({path("a.txt")});
  write("a.txt", "one");
  look();
  clock_.advance(2s);
  loop_.run_until([this] { return changes_ == 1; });
  EXPECT_FALSE(watch_);
  EXPECT_EQ(clock_.pending(), 0u);
}

}  // namespace
}  // namespace latchkey
