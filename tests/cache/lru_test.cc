#include "cache/lru.h"

#include <gtest/gtest.h>

namespace latchkey {
namespace {

using Texts = Lru<std::string>;

size_t put(Texts& lru, const std::string& key, size_t cost = 1) {
  return lru.put(key, std::make_shared<const std::string>(key), cost).size();
}

TEST(LruTest, TheLeastRecentlyUsedLeavesFirst) {
  Texts lru(3, 100);
  put(lru, "a");
  put(lru, "b");
  put(lru, "c");
  EXPECT_NE(lru.get("a"), nullptr);
  EXPECT_EQ(put(lru, "d"), 1u);
  EXPECT_EQ(lru.get("b"), nullptr);
  EXPECT_EQ(*lru.get("a"), "a");
  EXPECT_EQ(lru.size(), 3u);
}

TEST(LruTest, PeekingIsNoUse) {
  Texts lru(2, 100);
  put(lru, "a");
  put(lru, "b");
  EXPECT_NE(lru.peek("a"), nullptr);
  put(lru, "c");
  EXPECT_EQ(lru.peek("a"), nullptr);
}

TEST(LruTest, WhatIsKeptBesideAValueIsTheKeys) {
  Lru<std::string, int> lru(2, 100);
  const auto value = std::make_shared<const std::string>("v");
  EXPECT_EQ(lru.put("a", value, 1, 7).size(), 0u);
  EXPECT_EQ(lru.put("b", value, 1).size(), 0u);
  ASSERT_NE(lru.entry("a"), nullptr);
  EXPECT_EQ(lru.entry("a")->beside, 7);
  lru.entry("a")->beside = 8;
  EXPECT_EQ(lru.entry("b")->beside, 0);
  EXPECT_EQ(lru.entry("c"), nullptr);
  EXPECT_EQ(lru.entry("a")->beside, 8);
  EXPECT_EQ(lru.put("c", value, 1).size(), 1u);
  EXPECT_NE(lru.entry("a"), nullptr) << "looking at it was a use";
  EXPECT_EQ(lru.put("a", value, 1).size(), 1u);
  EXPECT_EQ(lru.entry("a")->beside, 0);
}

TEST(LruTest, CostIsBoundedToo) {
  Texts lru(100, 10);
  put(lru, "a", 4);
  put(lru, "b", 4);
  EXPECT_EQ(lru.cost(), 8u);
  EXPECT_EQ(put(lru, "c", 7), 2u);
  EXPECT_EQ(lru.cost(), 7u);
  EXPECT_EQ(lru.size(), 1u);
}

TEST(LruTest, WhatCanNeverFitPushesNothingOut) {
  Texts lru(100, 10);
  put(lru, "a", 4);
  EXPECT_EQ(put(lru, "huge", 11), 1u);
  EXPECT_NE(lru.get("a"), nullptr);
  EXPECT_EQ(lru.get("huge"), nullptr);
  EXPECT_EQ(lru.cost(), 4u);
}

TEST(LruTest, ReplacingCountsOnce) {
  Texts lru(2, 10);
  put(lru, "a", 3);
  put(lru, "a", 5);
  EXPECT_EQ(lru.size(), 1u);
  EXPECT_EQ(lru.cost(), 5u);
  EXPECT_EQ(lru.erase("a").size(), 1u);
  EXPECT_EQ(lru.erase("a").size(), 0u);
  EXPECT_EQ(lru.cost(), 0u);
}

TEST(LruTest, NoRoomKeepsNothing) {
  Texts lru(0, 10);
  EXPECT_EQ(put(lru, "a"), 1u);
  EXPECT_EQ(lru.size(), 0u);
}

TEST(LruTest, AValueOutlivesItsEviction) {
  Texts lru(1, 10);
  put(lru, "a");
  const auto held = lru.get("a");
  put(lru, "b");
  EXPECT_EQ(*held, "a");
}

}  // namespace
}  // namespace latchkey
