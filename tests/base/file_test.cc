#include "base/file.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>

#include "tests/support/temp_folder.h"

namespace latchkey {
namespace {

using testing::HasSubstr;

class FileTest : public testing::Test {
 protected:
  size_t entries() const {
    size_t count = 0;
    for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
      count += !entry.path().empty();
    }
    return count;
  }
  test::TempFolder folder;
};

TEST_F(FileTest, WhatWasWrittenIsRead) {
  for (const size_t size : {0, 1, 65535, 65536, 65537, 300000}) {
    const std::string bytes(size, 'x');
    ASSERT_TRUE(write_file_atomic(folder / "f", bytes, 0640).has_value());
    const auto read = read_file(folder / "f", 300000);
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(*read, bytes);
  }
  struct stat found {};
  ASSERT_EQ(::stat((folder / "f").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0640u);
  EXPECT_EQ(entries(), 1u) << "no temporary file is left";
}

TEST_F(FileTest, ReadingIsBounded) {
  ASSERT_TRUE(write_file_atomic(folder / "f", "12345", 0600).has_value());
  EXPECT_TRUE(read_file(folder / "f", 5).has_value());
  const auto longer = read_file(folder / "f", 4);
  ASSERT_FALSE(longer.has_value());
  EXPECT_EQ(longer.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(longer.error().message, HasSubstr("4 bytes"));
  EXPECT_FALSE(read_file("/dev/zero", 1000).has_value());
}

TEST_F(FileTest, ErrorsNameTheFileAndTheCause) {
  const auto missing = read_file(folder / "missing", 10);
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, ErrorCode::kNotFound);
  EXPECT_THAT(missing.error().message, HasSubstr((folder / "missing").string()));
  EXPECT_FALSE(read_file(folder.path(), 10).has_value());
  const auto nowhere = write_file_atomic(folder / "missing" / "f", "x", 0600);
  ASSERT_FALSE(nowhere.has_value());
  EXPECT_EQ(nowhere.error().code, ErrorCode::kIo);
  EXPECT_THAT(nowhere.error().message, HasSubstr("No such file"));
  std::filesystem::create_directory(folder / "d");
  EXPECT_FALSE(write_file_atomic(folder / "d", "x", 0600).has_value());
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, AFullDiskLeavesTheOldFile) {
  ASSERT_TRUE(write_file_atomic(folder / "f", "old", 0600).has_value());
  const pid_t child = ::fork();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{100, 100};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    ::_exit(write_file_atomic(folder / "f", std::string(200, 'x'), 0600).has_value() ? 1 : 0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(*read_file(folder / "f", 1000), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, SeveralFilesAreReplacedAndKeepTheirPermissions) {
  const std::vector<NewFile> files{{"key", "one", 0600}, {"chain", "two", 0644}};
  ASSERT_TRUE(replace_files(folder.path(), files).has_value());
  std::filesystem::permissions(folder / "key", std::filesystem::perms(0640));
  const std::vector<NewFile> next{{"key", "three", 0600}, {"chain", "four", 0644}};
  ASSERT_TRUE(replace_files(folder.path(), next).has_value());
  EXPECT_EQ(*read_file(folder / "key", 100), "three");
  EXPECT_EQ(*read_file(folder / "chain", 100), "four");
  EXPECT_EQ(std::filesystem::status(folder / "key").permissions(), std::filesystem::perms(0640));
  EXPECT_EQ(std::filesystem::status(folder / "chain").permissions(), std::filesystem::perms(0644));
  EXPECT_EQ(entries(), 2u);
}

TEST_F(FileTest, NoneOfSeveralIsReplacedWhereOneCannotBeWritten) {
  const std::vector<NewFile> old{{"key", "old", 0600}};
  ASSERT_TRUE(replace_files(folder.path(), old).has_value());
  const std::vector<NewFile> files{{"key", "new", 0600}, {"none/chain", "new", 0644}};
  const auto failed = replace_files(folder.path(), files);
  ASSERT_FALSE(failed.has_value());
  EXPECT_THAT(failed.error().message, HasSubstr("none/chain"));
  EXPECT_EQ(*read_file(folder / "key", 100), "old");
  EXPECT_EQ(entries(), 1u);
}

TEST_F(FileTest, FoldersAreMadeForUsAlone) {
  ASSERT_TRUE(make_private_folder(folder / "a" / "b").has_value());
  ASSERT_TRUE(make_private_folder((folder / "a" / "b").string() + "/c/").has_value());
  for (const char* one : {"a", "a/b", "a/b/c"}) {
    struct stat found {};
    ASSERT_EQ(::stat((folder / one).c_str(), &found), 0);
    EXPECT_EQ(found.st_mode & 0777, 0700u) << one;
  }
  std::filesystem::permissions(folder / "a", std::filesystem::perms(0755));
  ASSERT_TRUE(make_private_folder(folder / "a").has_value());
  struct stat found {};
  ASSERT_EQ(::stat((folder / "a").c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0755u) << "one that exists is its owner's business";
}

TEST_F(FileTest, AFileWhereTheFolderShouldBeIsNamed) {
  ASSERT_TRUE(write_file_atomic(folder / "f", "x", 0600).has_value());
  const auto made = make_private_folder(folder / "f" / "sub");
  ASSERT_FALSE(made.has_value());
  EXPECT_EQ(made.error().code, ErrorCode::kIo);
  EXPECT_THAT(made.error().message, HasSubstr((folder / "f").string()));
}

}  // namespace
}  // namespace latchkey
