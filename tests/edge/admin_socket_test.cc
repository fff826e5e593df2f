#include "edge/admin_socket.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"

namespace latchkey::edge {
namespace {

mode_t mode_of(const std::string& path) {
  struct stat found {};
  EXPECT_EQ(::lstat(path.c_str(), &found), 0) << path;
  return found.st_mode & 07777;
}

class AdminSocketTest : public testing::Test {
 protected:
  test::TempFolder folder;
  const std::string path = (folder / "new" / "deep" / "admin.sock").string();
};

TEST_F(AdminSocketTest, IsForItsOwnerAloneInAFolderForItsOwnerAlone) {
  const mode_t before = ::umask(0);
  const auto socket = AdminSocket::open(path);
  ::umask(before);
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_EQ(mode_of(path), 0600U);
  EXPECT_EQ(mode_of((folder / "new" / "deep").string()), 0700U);
  EXPECT_EQ(mode_of((folder / "new").string()), 0700U);
  EXPECT_EQ(knock(path), 0);
}

TEST_F(AdminSocketTest, AFolderThatIsThereStaysAsItIs) {
  const std::string there = (folder / "there").string();
  ASSERT_EQ(::mkdir(there.c_str(), 0755), 0);
  ASSERT_EQ(::chmod(there.c_str(), 0755), 0);
  ASSERT_TRUE(AdminSocket::open(there + "/admin.sock"));
  EXPECT_EQ(mode_of(there), 0755U);
}

TEST_F(AdminSocketTest, TheFileGoesWithIt) {
  {
    const auto socket = AdminSocket::open(path);
    ASSERT_TRUE(socket);
  }
  EXPECT_EQ(knock(path), ENOENT);
}

TEST_F(AdminSocketTest, TheFileOfASuccessorStays) {
  std::optional<AdminSocket> first(*AdminSocket::open(path));
  ASSERT_EQ(::unlink(path.c_str()), 0);
  const auto second = AdminSocket::open(path);
  ASSERT_TRUE(second);
  first.reset();
  EXPECT_EQ(knock(path), 0);
}

TEST_F(AdminSocketTest, WhatACrashLeftIsReplaced) {
  {
    std::optional<AdminSocket> crashed(*AdminSocket::open(path));
    ASSERT_EQ(::link(path.c_str(), (path + ".kept").c_str()), 0);
    crashed.reset();
    ASSERT_EQ(::rename((path + ".kept").c_str(), path.c_str()), 0);
  }
  ASSERT_EQ(knock(path), ECONNREFUSED);
  const auto socket = AdminSocket::open(path);
  ASSERT_TRUE(socket) << socket.error().message;
  EXPECT_EQ(knock(path), 0);
}

TEST_F(AdminSocketTest, OneThatIsServedIsAnErrorThatSaysSo) {
  const auto first = AdminSocket::open(path);
  ASSERT_TRUE(first);
  const auto second = AdminSocket::open(path);
  ASSERT_FALSE(second);
  EXPECT_NE(second.error().message.find(path + ": another process answers there"),
            std::string::npos)
      << second.error().message;
  EXPECT_EQ(knock(path), 0);
}

TEST_F(AdminSocketTest, AnotherFileIsNeverRemoved) {
  const std::string file = (folder / "file").string();
  test::write_text(file, "precious");
  const auto socket = AdminSocket::open(file);
  ASSERT_FALSE(socket);
  EXPECT_NE(socket.error().message.find("no socket"), std::string::npos);
  EXPECT_EQ(test::read_text(file), "precious");
  ASSERT_EQ(::symlink(file.c_str(), (folder / "link").c_str()), 0);
  EXPECT_FALSE(AdminSocket::open((folder / "link").string()));
  EXPECT_FALSE(AdminSocket::open(folder.path().string()));
  EXPECT_FALSE(AdminSocket::open(file + "/admin.sock"));
}

TEST_F(AdminSocketTest, APathThatIsTooLongSaysHowLongItMayBe) {
  std::string longest = (folder / "").string();
  longest += std::string(107 - longest.size(), 'x');
  EXPECT_TRUE(AdminSocket::open(longest));
  const auto socket = AdminSocket::open(longest + "x");
  ASSERT_FALSE(socket);
  EXPECT_NE(socket.error().message.find("has 108 bytes; a UNIX socket's may have 107"),
            std::string::npos)
      << socket.error().message;
  EXPECT_FALSE(AdminSocket::open(""));
}

}  // namespace
}  // namespace latchkey::edge
