#include "base/name_marks.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <string>

namespace latchkey {
namespace {

using namespace std::chrono_literals;

ServerName name(std::string_view text) {
  return *ServerName::parse(text);
}
ServerName numbered(int i) {
  return name("n" + std::to_string(i) + ".example.com");
}

constexpr TimePoint kNow{1h};

TEST(SipHashTest, HashesAsItsAuthorsDo) {
  SipHash::Key key{0x0706050403020100, 0x0f0e0d0c0b0a0908};
  EXPECT_EQ(SipHash(key)(""), 0xabac0158050fc4dcu);
  EXPECT_NE(SipHash::random_key(), SipHash::random_key());
}

TEST(NameMarksTest, RemembersUntilTheTimeIsUp) {
  NameMarks marks(1000);
  EXPECT_EQ(marks.capacity(), 1024u);
  EXPECT_FALSE(marks.find(name("a.test"), kNow));
  marks.set(name("a.test"), 403, kNow + 60s);
  EXPECT_EQ(marks.find(name("a.test"), kNow), 403);
  EXPECT_EQ(marks.find(name("a.test"), kNow + 59'999ms), 403);
  EXPECT_FALSE(marks.find(name("a.test"), kNow + 60s));
  EXPECT_FALSE(marks.find(name("b.test"), kNow));
  const auto fact = marks.look(name("a.test"), kNow);
  ASSERT_TRUE(fact);
  EXPECT_EQ(fact->code, 403);
  EXPECT_EQ(fact->until, kNow + 60s);
}

TEST(NameMarksTest, TheNewestMarkCounts) {
  NameMarks marks(8);
  marks.set(name("a.test"), 1, kNow + 60s);
  marks.set(name("a.test"), 65'535, kNow + 10s);
  EXPECT_EQ(marks.find(name("a.test"), kNow), 65'535);
  EXPECT_FALSE(marks.find(name("a.test"), kNow + 10s));
}

TEST(NameMarksTest, ForgetsWhatItIsTold) {
  NameMarks marks(8);
  marks.set(name("a.test"), 1, kNow + 60s);
  marks.set(name("b.test"), 2, kNow + 60s);
  marks.erase(name("a.test"));
  marks.erase(name("c.test"));
  EXPECT_FALSE(marks.find(name("a.test"), kNow));
  EXPECT_EQ(marks.find(name("b.test"), kNow), 2);
  marks.clear();
  EXPECT_FALSE(marks.find(name("b.test"), kNow));
}

TEST(NameMarksTest, TimesFarAwayAreNoTrouble) {
  NameMarks marks(8);
  marks.set(name("a.test"), 1, TimePoint::max());
  marks.set(name("b.test"), 2, TimePoint::min());
  EXPECT_EQ(marks.find(name("a.test"), kNow + 24h * 365 * 100), 1);
  EXPECT_FALSE(marks.find(name("b.test"), TimePoint(0ms)));
}

TEST(NameMarksTest, WhereThereIsNoRoomTheMarkThatEndsFirstGoes) {
  NameMarks marks(0);  // a single bucket
  ASSERT_EQ(marks.capacity(), 8u);
  for (int i = 0; i < 8; ++i) marks.set(numbered(i), 1, kNow + 100s - i * 1s);
  marks.set(numbered(8), 1, kNow + 200s);
  EXPECT_FALSE(marks.find(numbered(7), kNow));
  for (const int kept : {0, 1, 2, 3, 4, 5, 6, 8}) EXPECT_TRUE(marks.find(numbered(kept), kNow));
}

TEST(NameMarksTest, HoldsNearlyWhatItSays) {
  NameMarks marks(1 << 16);
  const int many = 1 << 15;
  for (int i = 0; i < many; ++i) marks.set(numbered(i), 7, kNow + 60s);
  int found = 0;
  for (int i = 0; i < many; ++i) found += marks.find(numbered(i), kNow) == 7 ? 1 : 0;
  EXPECT_GE(found, many * 97 / 100);
  for (int i = many; i < 2 * many; ++i) ASSERT_FALSE(marks.find(numbered(i), kNow));
}

TEST(NameMarksTest, HoldsAllWhereThereIsPlentyOfRoom) {
  NameMarks marks(1 << 20);
  for (int i = 0; i < 50'000; ++i) {
    marks.set(numbered(i), static_cast<uint16_t>(i % 1000), kNow + 1h);
  }
  for (int i = 0; i < 50'000; ++i) ASSERT_EQ(marks.find(numbered(i), kNow), i % 1000) << i;
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)  // they have a shadow of it
size_t resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  size_t pages = 0;
  statm >> pages >> pages;
  return pages * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

TEST(NameMarksTest, AFloodOfNamesChangesNothingAboutItsMemory) {
  NameMarks marks(1 << 20);  // 16 MiB
  const size_t before = resident_bytes();
  for (int i = 0; i < 100'000; ++i) marks.set(numbered(i), 1, kNow + 60s);
  EXPECT_LT(resident_bytes(), before + (1 << 20));
}
#endif

}  // namespace
}  // namespace latchkey
