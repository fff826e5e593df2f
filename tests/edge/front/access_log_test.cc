#include "edge/front/access_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>

#include "base/json.h"
#include "edge/front/access_line.h"
#include "tests/support/eventually.h"
#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"

namespace latchkey::edge {
namespace {

using test::eventually;

std::string read(const std::filesystem::path& path) {
  std::ifstream in(path);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

class AccessLogTest : public testing::Test {
 protected:
  std::unique_ptr<AccessLog> open() {
    auto opened = AccessLog::open(path.string(), log, dropped);
    EXPECT_TRUE(opened) << opened.error().message;
    return opened ? *std::move(opened) : nullptr;
  }
  test::TempFolder folder;
  const std::filesystem::path path = folder / "access.log";
  const std::filesystem::path told = folder / "log";
  const test::Fd told_fd{::open(told.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600)};
  Log log{told_fd.get(), Log::Format::kJson, LogLevel::kInfo};
  Counter dropped;
};

TEST_F(AccessLogTest, LinesGoToTheFileInOrderAndTheLastOnesAtTheEnd) {
  auto out = open();
  out->write("one\n");
  out->write("two\n");
  out.reset();
  EXPECT_EQ(read(path), "one\ntwo\n");
  open()->write("three\n");
  EXPECT_EQ(read(path), "one\ntwo\nthree\n") << "an old file is appended to";
  struct stat about {};
  ASSERT_EQ(::stat(path.c_str(), &about), 0);
  EXPECT_EQ(about.st_mode & 0007, 0U) << "not for everybody's eyes";
}

TEST_F(AccessLogTest, AFileThatWasMovedAwayIsLeft) {
  const auto out = open();
  out->write("one\n");
  ASSERT_TRUE(eventually([&] { return read(path) == "one\n"; }));
  std::filesystem::rename(path, folder / "access.log.1");
  out->reopen();
  out->write("two\n");
  EXPECT_TRUE(eventually([&] { return read(path) == "two\n"; }));
  EXPECT_EQ(read(folder / "access.log.1"), "one\n");
}

TEST_F(AccessLogTest, WhatCannotBeReopenedStaysInUse) {
  const auto out = open();
  std::filesystem::rename(path, folder / "access.log.1");
  std::filesystem::create_directory(path);
  out->reopen();
  out->write("two\n");
  EXPECT_TRUE(eventually([&] { return read(folder / "access.log.1") == "two\n"; }));
  EXPECT_NE(read(told).find("access_log_reopen_failed"), std::string::npos);
}

TEST_F(AccessLogTest, APipeThatNobodyEmptiesCostsLinesAndNobodysTime) {
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  const test::Fd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto out = open();
  const std::string line = std::string(1023, 'x') + "\n";
  for (int i = 0; i < 20'000; ++i) out->write(line);
  EXPECT_GT(dropped.value(), 5'000U);
  EXPECT_TRUE(
      eventually([&] { return read(told).find("access_log_dropped") != std::string::npos; }));
  out.reset();  // does not wait for ever either
}

TEST_F(AccessLogTest, APipeWithoutAReaderIsAnError) {
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  EXPECT_FALSE(AccessLog::open(path.string(), log, dropped));
}

TEST_F(AccessLogTest, ADiskThatIsFullCostsLines) {
  auto opened = AccessLog::open("/dev/full", log, dropped);
  ASSERT_TRUE(opened) << opened.error().message;
  (*opened)->write("one\n");
  (*opened)->write("two\n");
  EXPECT_TRUE(eventually([&] { return dropped.value() == 2; }));
}

TEST(AccessLineTest, IsOneLineOfJsonWhateverTheClientSays) {
  RequestHead head;
  head.method = "GET";
  head.authority = "a.test";
  head.target = "/" + std::string("\x80\xff\"\\") + std::string(100'000, '\x01');
  head.headers.add("user-agent", std::string(5'000, '\xfe'));
  ClientInfo client;
  client.address = "192.0.2.1";
  const AccessEntry entry(head, client, true);
  const std::string line = entry.line("complete", Millis(1), {});
  EXPECT_LE(line.size(), 100U << 10);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_TRUE(parse_json(line.substr(0, line.size() - 1)));
}

}  // namespace
}  // namespace latchkey::edge
