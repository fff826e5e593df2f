// State folders that cannot be written, are full, or are somebody else's.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/support/eventually.h"
#include "tests/support/site.h"
#include "tests/support/small_disk.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

TEST(StateFolderTest, ASecondInstanceIsToldWhoHasIt) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  const ReservedPort https, http;
  EdgeSettings settings = site.edge.settings;
  settings.https_port = https.number();
  settings.http_port = http.number();
  Edge second(site.folder / "second", settings);
  second.launch();
  const auto exit = second.wait(Millis(10'000));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 1);
  EXPECT_TRUE(second.logged(std::to_string(site.edge.pid()), site.state_dir().string()))
      << second.log();
  EXPECT_TRUE(site.visit("a.test").handshake.verified);

  site.edge.kill_hard();
  EXPECT_TRUE(second.start());  // the kernel lets go of the lock
}

TEST(StateFolderTest, IsPrivate) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  ASSERT_TRUE(site.visit("a.test").handshake.verified);
  struct stat info {};
  ASSERT_EQ(stat(site.state_dir().c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0700u);
  for (const auto& file : std::filesystem::directory_iterator(site.state_dir())) {
    ASSERT_EQ(stat(file.path().c_str(), &info), 0);
    EXPECT_EQ(info.st_mode & 0077, 0u) << file.path();
  }
}

TEST(StateFolderTest, ADatabaseThatIsNoneIsRefusedAndKept) {
  Site site;
  ASSERT_TRUE(site.edge.start());
  ASSERT_TRUE(site.edge.terminate());
  for (const char* suffix : {"-wal", "-shm"}) {
    std::filesystem::remove(site.database().string() + suffix);
  }
  write_text(site.database(), std::string(10'000, 'x'));
  site.edge.launch();
  const auto exit = site.edge.wait(Millis(10'000));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 1);
  EXPECT_TRUE(site.edge.logged(site.database().string())) << site.edge.log();
  EXPECT_EQ(read_text(site.database()), std::string(10'000, 'x'));
}

TEST(StateFolderTest, AFileInItsPlaceIsNamed) {
  Site site;
  write_text(site.state_dir(), "a file");
  site.edge.launch();
  const auto exit = site.edge.wait(Millis(10'000));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 1);
  EXPECT_TRUE(site.edge.logged(site.state_dir().string())) << site.edge.log();
}

class DiskTest : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!enter_own_mounts()) GTEST_SKIP() << "this kernel does not let us mount a file system";
    site_.emplace();
    disk_.emplace(site_->state_dir(), "24m");
    if (!disk_->mounted()) GTEST_SKIP() << "no file system could be mounted";
  }
  // While anything uses the disk it cannot be unmounted.
  void TearDown() override {
    if (disk_) disk_.reset();
  }

  std::optional<Site> site_;
  std::optional<SmallDisk> disk_;  // the store asks for 16 MiB of free space
};

TEST_F(DiskTest, AReadOnlyFolderIsNamedAtTheStart) {
  ASSERT_TRUE(disk_->make_read_only());
  site_->edge.launch();
  const auto exit = site_->edge.wait(Millis(10'000));
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 1);
  EXPECT_TRUE(site_->edge.logged(site_->state_dir().string())) << site_->edge.log();
}

TEST_F(DiskTest, AFullFolderStopsOrdersButNotServing) {
  ASSERT_TRUE(site_->edge.start());
  const auto stored = site_->visit("stored.test");
  ASSERT_TRUE(stored.handshake.verified) << stored.handshake.error;
  disk_->fill();

  EXPECT_EQ(site_->visit("one.test").handshake.alert, alert::kInternalError);
  const size_t orders = site_->pebble->orders();
  EXPECT_LE(orders, 2u);
  for (const char* name : {"two.test", "three.test"}) {
    EXPECT_EQ(site_->visit(name).handshake.alert, alert::kInternalError) << name;
  }
  EXPECT_EQ(site_->pebble->orders(), orders);  // none is made while its certificate would be lost
  EXPECT_TRUE(site_->edge.logged("issuance_failed", site_->state_dir().string()))
      << "the log must name the folder";
  EXPECT_EQ(site_->visit("stored.test").handshake.serial, stored.handshake.serial);
  EXPECT_TRUE(site_->edge.running());

  disk_->free();
  int number = 0;  // a new name each time: failures are remembered
  EXPECT_TRUE(eventually([&] {
    return site_->visit("later" + std::to_string(++number) + ".test").handshake.verified;
  }));
  EXPECT_TRUE(site_->edge.terminate());
  EXPECT_TRUE(StoreFile(site_->database()).sound());
}

TEST_F(DiskTest, AFullFolderIsSurvivedByAKill) {
  ASSERT_TRUE(site_->edge.start());
  const auto stored = site_->visit("stored.test");
  ASSERT_TRUE(stored.handshake.verified) << stored.handshake.error;
  disk_->fill();
  EXPECT_EQ(site_->visit("one.test").handshake.alert, alert::kInternalError);
  site_->edge.kill_hard();
  disk_->free();
  ASSERT_TRUE(site_->edge.start());
  EXPECT_EQ(site_->visit("stored.test").handshake.serial, stored.handshake.serial);
}

}  // namespace
}  // namespace latchkey::test
