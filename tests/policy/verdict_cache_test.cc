#include "policy/verdict_cache.h"

#include <gtest/gtest.h>

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

class VerdictCacheTest : public testing::Test {
 protected:
  VerdictRecord yes(std::string upstream = "") {
    VerdictRecord record;
    record.asked = wall;
    record.until = wall + 1h;
    record.stale_until = wall + 25h;
    record.grant.upstream = std::move(upstream);
    return record;
  }

  VerdictCache cache{VerdictCache::Limits{100, 1 << 20, 1024}};
  WallTime wall{std::chrono::hours(500'000)};
  TimePoint now{1h};
};

TEST_F(VerdictCacheTest, AYesAndANoExcludeEachOther) {
  cache.allow(name("a.test"), yes("http://a"));
  ASSERT_NE(cache.allowed(name("a.test")), nullptr);
  EXPECT_EQ(cache.allowed(name("a.test"))->grant.upstream, "http://a");
  cache.deny(name("a.test"), 403, now + 60s);
  EXPECT_EQ(cache.allowed(name("a.test")), nullptr);
  EXPECT_EQ(cache.denied(name("a.test"), now)->code, 403);
  EXPECT_FALSE(cache.denied(name("a.test"), now + 60s));
  cache.allow(name("a.test"), yes());
  EXPECT_FALSE(cache.denied(name("a.test"), now));
  EXPECT_NE(cache.allowed(name("a.test")), nullptr);
}

TEST_F(VerdictCacheTest, AnUnchangedYesIsWrittenAnewAtHalfOfItsLife) {
  EXPECT_FALSE(cache.allow(name("a.test"), yes()));
  EXPECT_NE(cache.keep(name("a.test")), nullptr);
  EXPECT_EQ(cache.keep(name("a.test")), nullptr);
  for (int hours = 0; hours < 12; ++hours) {
    EXPECT_FALSE(cache.allow(name("a.test"), yes())) << hours;
    wall += 1h;
  }
  wall += 30min;  // half of 25 h
  EXPECT_TRUE(cache.allow(name("a.test"), yes()));
  EXPECT_FALSE(cache.allow(name("a.test"), yes()));
}

TEST_F(VerdictCacheTest, AChangedGrantIsWrittenAtOnce) {
  cache.allow(name("a.test"), yes("http://a"));
  EXPECT_EQ(cache.keep(name("a.test"))->grant.upstream, "http://a");
  EXPECT_TRUE(cache.allow(name("a.test"), yes("http://b")));
  EXPECT_FALSE(cache.allow(name("a.test"), yes("http://b")));
}

TEST_F(VerdictCacheTest, KnowsWhichNamesHaveARow) {
  EXPECT_FALSE(cache.forget(name("a.test")));
  cache.allow(name("a.test"), yes());
  EXPECT_FALSE(cache.forget(name("a.test")));
  cache.allow(name("a.test"), yes());
  cache.keep(name("a.test"));
  EXPECT_TRUE(cache.forget(name("a.test")));
  EXPECT_FALSE(cache.forget(name("a.test")));
  EXPECT_EQ(cache.keep(name("a.test")), nullptr);
  cache.learn(name("a.test"), yes());
  EXPECT_FALSE(cache.allow(name("a.test"), yes()));
  cache.not_stored(name("a.test"));
  cache.not_stored(name("b.test"));
  EXPECT_TRUE(cache.allow(name("a.test"), yes())) << "it is tried again";
}

TEST_F(VerdictCacheTest, YesesAreBoundedByNumber) {
  for (int i = 0; i < 200; ++i) cache.allow(numbered(i), yes());
  EXPECT_EQ(cache.size(), 100u);
  EXPECT_EQ(cache.allowed(numbered(99)), nullptr);
  EXPECT_NE(cache.allowed(numbered(100)), nullptr);
}

TEST_F(VerdictCacheTest, YesesAreBoundedByBytes) {
  VerdictCache small(VerdictCache::Limits{100, 20'000, 1024});
  for (int i = 0; i < 100; ++i) small.allow(numbered(i), yes(std::string(2000, 'x')));
  EXPECT_LE(small.bytes(), 20'000u);
  EXPECT_LE(small.size(), 9u);
  EXPECT_GE(small.size(), 7u);
}

TEST_F(VerdictCacheTest, AFloodOfUnwantedNamesPushesOutNobodysYes) {
  for (int i = 0; i < 100; ++i) cache.allow(numbered(i), yes());
  const size_t bytes = cache.bytes();
  for (int i = 1000; i < 101'000; ++i) cache.deny(numbered(i), 403, now + 60s);
  for (int i = 0; i < 100; ++i) EXPECT_NE(cache.allowed(numbered(i)), nullptr);
  EXPECT_EQ(cache.bytes(), bytes);
  cache.forget_denials();
  EXPECT_FALSE(cache.denied(numbered(100'999), now));
}

}  // namespace
}  // namespace latchkey
