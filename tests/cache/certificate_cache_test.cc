#include "cache/certificate_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "tests/support/test_certificates.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

ServerName name(std::string_view text) {
  return *ServerName::parse(text);
}
ServerName numbered(size_t i) {
  return name("n" + std::to_string(i) + ".test");
}
const TestCa& ca() {
  static const TestCa one;
  return one;
}

TEST(CertificateCacheTest, FindsTheExactNameBeforeTheWildcard) {
  CertificateCache cache({});
  const auto exact = ca().issue({"a.w.test"});
  const auto wild = ca().issue({"*.w.test"});
  cache.put(name("a.w.test"), exact);
  cache.put(name("b.w.test"), wild);
  EXPECT_EQ(cache.find(name("a.w.test")), exact);
  EXPECT_EQ(cache.find(name("b.w.test")), wild);
  EXPECT_EQ(cache.find(name("c.w.test")), wild);
  EXPECT_EQ(cache.find(name("w.test")), nullptr);
  EXPECT_EQ(cache.find(name("c.c.w.test")), nullptr);
  EXPECT_EQ(cache.find(name("test")), nullptr);
  cache.erase(name("a.w.test"));
  EXPECT_EQ(cache.find(name("a.w.test")), wild);
}

TEST(CertificateCacheTest, ClearLeavesTheConfiguredOnes) {
  CertificateCache cache({});
  const auto own = ca().issue({"own.test"});
  cache.set_configured({{own, "files"}});
  for (size_t i = 0; i < 4; ++i) cache.put(numbered(i), ca().issue({numbered(i).text()}));
  cache.put_extras(name("x.own.test"), {});
  cache.clear();
  EXPECT_EQ(cache.size(), 0u);
  EXPECT_EQ(cache.find(numbered(1)), nullptr);
  EXPECT_EQ(cache.find(name("own.test")), own);
  const auto again = ca().issue({"n1.test"});
  cache.put(numbered(1), again);
  EXPECT_EQ(cache.find(numbered(1)), again);
  EXPECT_EQ(cache.size(), 1u);
}

TEST(CertificateCacheTest, TheLongestNameFindsItsWildcard) {
  CertificateCache cache({});
  std::string text = "a";
  while (text.size() < 253) text += text.size() % 32 == 1 ? '.' : 'b';
  if (text.back() == '.') text.back() = 'b';
  const ServerName longest = name(text);
  const auto wild = ca().issue({"*." + std::string(longest.parent())});
  cache.put(name("other.test"), wild);
  EXPECT_EQ(cache.find(longest), wild);
}

TEST(CertificateCacheTest, PutReplacesButAWildcardStaysNew) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const auto older = ca().issue({"a.test", "*.w.test"}, now - hours(48), now + hours(999));
  const auto newer = ca().issue({"b.test", "*.w.test"}, now - hours(1), now + hours(99));
  cache.put(name("b.test"), newer);
  cache.put(name("a.test"), older);
  EXPECT_EQ(cache.find(name("x.w.test")), newer);
  EXPECT_EQ(cache.find(name("a.test")), older);
  cache.put(name("b.test"), older);
  EXPECT_EQ(cache.find(name("b.test")), older);
}

GrantPtr grant_of(const std::string& tenant) {
  Grant grant;
  grant.tenant = tenant;
  return std::make_shared<const Grant>(grant);
}

TEST(CertificateCacheTest, WhatIsKeptBesideACertificateIsFoundWithIt) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const auto certificate = ca().issue({"a.test"});
  const auto grant = grant_of("acme");
  EXPECT_EQ(cache.look_up(name("a.test"), now).certificate, nullptr);
  cache.put(name("a.test"), certificate, {grant, now + hours(1)});
  const CacheHit hit = cache.look_up(name("a.test"), now);
  EXPECT_EQ(hit.certificate, certificate);
  EXPECT_EQ(hit.grant, grant);
  EXPECT_FALSE(hit.recheck_due);

  cache.put(name("a.test"), certificate);
  EXPECT_EQ(cache.look_up(name("a.test"), now).grant, nullptr);
}

TEST(CertificateCacheTest, ExtrasAreReplacedWhereThereIsACertificateOnly) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const auto certificate = ca().issue({"a.test"});
  const auto grant = grant_of(std::string(1000, 'x'));
  cache.set_extras(name("a.test"), {grant, now});
  EXPECT_EQ(cache.size(), 0u);
  cache.put(name("a.test"), certificate);
  const size_t bytes = cache.bytes();
  cache.set_extras(name("a.test"), {grant, WallTime::max()});
  EXPECT_EQ(cache.look_up(name("a.test"), now).certificate, certificate);
  EXPECT_EQ(cache.look_up(name("a.test"), now).grant, grant);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_GE(cache.bytes(), bytes + 1000) << "a grant counts";
  cache.set_extras(name("a.test"), {});
  EXPECT_EQ(cache.look_up(name("a.test"), now).grant, nullptr);
  EXPECT_EQ(cache.bytes(), bytes);
}

TEST(CertificateCacheTest, ARecheckIsSaidToOneCallerInAMinute) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const ServerName one = name("a.test");
  cache.put(one, ca().issue({"a.test"}), {nullptr, now});
  EXPECT_FALSE(cache.look_up(one, now - seconds(1)).recheck_due);
  EXPECT_NE(cache.find(one), nullptr);
  EXPECT_TRUE(cache.look_up(one, now).recheck_due) << "find() takes nobody's turn";
  EXPECT_FALSE(cache.look_up(one, now).recheck_due);
  EXPECT_FALSE(cache.look_up(one, now + seconds(59)).recheck_due);
  EXPECT_TRUE(cache.look_up(one, now + seconds(60)).recheck_due);
  cache.set_extras(one, {nullptr, now + hours(1)});
  EXPECT_FALSE(cache.look_up(one, now + seconds(120)).recheck_due);
  EXPECT_TRUE(cache.look_up(one, now + hours(1)).recheck_due);
}

TEST(CertificateCacheTest, AWildcardHitHasNoExtras) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const auto wild = ca().issue({"*.w.test"});
  cache.put(name("a.w.test"), wild, {grant_of("acme"), now});
  const CacheHit hit = cache.look_up(name("b.w.test"), now);
  EXPECT_EQ(hit.certificate, wild);
  EXPECT_EQ(hit.grant, nullptr);
  EXPECT_FALSE(hit.recheck_due);
  cache.set_extras(name("b.w.test"), {grant_of("other"), now});
  EXPECT_EQ(cache.look_up(name("b.w.test"), now).grant, nullptr);
  EXPECT_TRUE(cache.look_up(name("a.w.test"), now).recheck_due);
}

TEST(CertificateCacheTest, KeepsItsBoundWhateverItIs) {
  const auto certificate = ca().issue({"any.test"});
  for (const size_t bound : {1, 2, 3, 7, 15, 16, 17, 31, 32, 63, 64, 100, 129, 1000}) {
    CertificateCache cache({.max_certificates = bound, .max_bytes = 512 << 20});
    for (size_t i = 0; i < 3 * bound; ++i) {
      cache.put(numbered(i), certificate);
      ASSERT_LE(cache.size(), bound);
      ASSERT_NE(cache.find(numbered(i)), nullptr) << "the newest is always there, bound " << bound;
    }
    EXPECT_GE(cache.size(), bound * 9 / 10);
    if (bound < 128) {
      EXPECT_EQ(cache.size(), bound);
      EXPECT_EQ(cache.find(numbered(2 * bound - 1)), nullptr) << "a small cache is a strict LRU";
      EXPECT_NE(cache.find(numbered(2 * bound)), nullptr);
    }
  }
}

TEST(CertificateCacheTest, KeepsItsBytes) {
  const auto certificate = ca().issue({"any.test"});
  const size_t bound = 10 * (certificate->bytes() + 280);
  CertificateCache cache({.max_certificates = 1000, .max_bytes = bound});
  for (size_t i = 0; i < 100; ++i) {
    cache.put(numbered(i), certificate);
    ASSERT_LE(cache.bytes(), bound);
  }
  EXPECT_GE(cache.size(), 10u);
  EXPECT_LE(cache.size(), 12u);
  CertificateCache tiny({.max_certificates = 1000, .max_bytes = 100});
  tiny.put(numbered(1), certificate);
  EXPECT_EQ(tiny.size(), 0u);
  EXPECT_EQ(tiny.bytes(), 0u);
}

TEST(CertificateCacheTest, ThreadsShareIt) {
  CertificateCache cache({.max_certificates = 200, .max_bytes = 512 << 20});
  std::vector<CertificatePtr> certificates;
  for (size_t i = 0; i < 8; ++i) {
    certificates.push_back(ca().issue({"n" + std::to_string(i) + ".test", "*.w.test"}));
  }
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = 0; i < 5000; ++i) {
        const size_t n = (i * 7 + t * 13) % 400;
        if (i % 3 == 0) cache.put(numbered(n), certificates[n % 8]);
        if (i % 50 == 0) cache.erase(numbered(n));
        const auto found = cache.find(numbered(n));
        ASSERT_TRUE(found == nullptr || found == certificates[n % 8]);
        ASSERT_TRUE(i % 100 != 0 || cache.size() <= 200);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(cache.size(), 200u);
}

TEST(CertificateCacheTest, OfManyThreadsOneIsToldOfARecheck) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  cache.put(name("a.test"), ca().issue({"a.test"}), {grant_of("acme"), now});
  std::atomic<int> told = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        const CacheHit hit = cache.look_up(name("a.test"), now);
        ASSERT_EQ(hit.grant->tenant, "acme");
        if (hit.recheck_due) ++told;
        if (i % 100 == 0) cache.set_extras(name("b.test"), {grant_of("b"), now});
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(told, 1);
}

TEST(CertificateCacheTest, AllMayBeMadeDueForARecheckAtOnce) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  for (size_t i = 0; i < 100; ++i) cache.put(numbered(i), ca().issue({"any.test"}));
  EXPECT_FALSE(cache.look_up(numbered(7), now).recheck_due);
  cache.recheck_all(now);
  for (size_t i = 0; i < 100; ++i) EXPECT_TRUE(cache.look_up(numbered(i), now).recheck_due);
  EXPECT_FALSE(cache.look_up(numbered(7), now).recheck_due);
}

TEST(CertificateCacheTest, AUseIsToBeNotedOnceADay) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const ServerName one = name("a.test");
  cache.put(one, ca().issue({"a.test"}, now, now + hours(24 * 90)));
  EXPECT_NE(cache.find(one), nullptr);
  EXPECT_TRUE(cache.look_up(one, now).note_use) << "at once, and find() takes nobody's turn";
  EXPECT_FALSE(cache.look_up(one, now).note_use);
  std::vector<int> noted;
  for (int minute = 0; minute < 10 * 24 * 60; ++minute) {
    if (cache.look_up(one, now + minutes(minute)).note_use) noted.push_back(minute);
  }
  ASSERT_EQ(noted.size(), 10u);
  for (size_t i = 1; i < noted.size(); ++i) EXPECT_EQ(noted[i] - noted[i - 1], 24 * 60);
}

TEST(CertificateCacheTest, OfAShortLifeUsesAreNotedMoreOftenButNotAllTheTime) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const auto notes = [&](const char* text, seconds life, int times) {
    cache.put(name(text), ca().issue({text}, now, now + life));
    int count = 0;
    for (int second = 0; second < times; ++second) {
      count += cache.look_up(name(text), now + seconds(second)).note_use ? 1 : 0;
    }
    return count;
  };
  EXPECT_NEAR(notes("five-minutes.test", minutes(5), 300), 300 / 15, 1);
  EXPECT_NEAR(notes("second.test", seconds(1), 100), 100 / 10, 1);
}

TEST(CertificateCacheTest, AMillionNamesAreNotNotedAtMidnight) {
  CertificateCache cache({});
  const WallTime now = std::chrono::floor<std::chrono::days>(TestCa::now());
  const auto certificate = ca().issue({"any.test"}, now, now + hours(24 * 90));
  for (size_t i = 0; i < 2400; ++i) {
    cache.put(numbered(i), certificate);
    cache.look_up(numbered(i), now);
  }
  for (int hour = 1; hour <= 24; ++hour) {
    int count = 0;
    for (size_t i = 0; i < 2400; ++i) {
      count += cache.look_up(numbered(i), now + hours(hour)).note_use ? 1 : 0;
    }
    EXPECT_NEAR(count, 100, 60) << "in hour " << hour;
  }
}

TEST(CertificateCacheTest, AClockThatWasPutBackStopsNoNotes) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const ServerName one = name("a.test");
  cache.put(one, ca().issue({"a.test"}));
  EXPECT_TRUE(cache.look_up(one, now + hours(24 * 365)).note_use);
  EXPECT_TRUE(cache.look_up(one, now).note_use);
  EXPECT_FALSE(cache.look_up(one, now).note_use);
}

TEST(CertificateCacheTest, AUseByAWildcardIsToBeNotedToo) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  cache.put(name("w.test"), ca().issue({"w.test", "*.w.test"}));
  EXPECT_TRUE(cache.look_up(name("a.w.test"), now).note_use);
  EXPECT_FALSE(cache.look_up(name("b.w.test"), now).note_use) << "it is the same certificate";
  EXPECT_TRUE(cache.look_up(name("w.test"), now).note_use);
}

TEST(CertificateCacheTest, ARenewalReplacesWhatIsThereAndLeavesTheRest) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const ServerName one = name("a.test");
  const auto fresh = ca().issue({"a.test"});
  EXPECT_FALSE(cache.replace(one, fresh)) << "nobody wants it in memory";
  EXPECT_EQ(cache.find(one), nullptr);

  cache.put(one, ca().issue({"a.test"}), {grant_of("acme"), now + hours(1)});
  EXPECT_TRUE(cache.look_up(one, now).note_use);
  const size_t bytes = cache.bytes();
  EXPECT_TRUE(cache.replace(one, fresh));
  const CacheHit hit = cache.look_up(one, now);
  EXPECT_EQ(hit.certificate, fresh);
  EXPECT_EQ(hit.grant->tenant, "acme");
  EXPECT_FALSE(hit.recheck_due);
  EXPECT_FALSE(hit.note_use) << "it was today";
  EXPECT_TRUE(cache.look_up(one, now + hours(1)).recheck_due);
  EXPECT_EQ(cache.size(), 1u);
  EXPECT_NEAR(static_cast<double>(cache.bytes()), static_cast<double>(bytes), 64);
}

TEST(CertificateCacheTest, ARenewalReplacesTheWildcardsThatItHas) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const auto old = ca().issue({"w.test", "*.w.test"}, now - hours(10), now + hours(10));
  const auto fresh = ca().issue({"a.w.test", "*.w.test"}, now, now + hours(20));
  cache.put(name("w.test"), old);
  EXPECT_TRUE(cache.replace(name("a.w.test"), fresh)) << "the wildcard serves it";
  EXPECT_EQ(cache.find(name("a.w.test")), fresh);
  EXPECT_EQ(cache.find(name("b.w.test")), fresh);
  EXPECT_EQ(cache.find(name("w.test")), old);
  EXPECT_EQ(cache.size(), 2u) << "nothing was added";

  EXPECT_TRUE(cache.replace(name("w.test"), old));
  EXPECT_EQ(cache.find(name("b.w.test")), fresh) << "an older one does not undo a newer wildcard";
  const auto alone = ca().issue({"c.w.test"});
  EXPECT_FALSE(cache.replace(name("c.w.test"), alone)) << "it is no certificate for the wildcard";
}

TEST(CertificateCacheTest, ALargerRenewalEvictsOthersAndKeepsTheBound) {
  const WallTime now = TestCa::now();
  const auto small = ca().issue({"a.test"});
  const size_t room = 3 * (small->bytes() + 300);
  CertificateCache cache({100, room});
  for (const char* one : {"a.test", "b.test", "c.test"}) cache.put(name(one), small);
  EXPECT_EQ(cache.size(), 3u);
  TestCa::Names many{"a.test"};
  for (int i = 0; i < 40; ++i) many.push_back("name-" + std::to_string(i) + ".a.test");
  const auto large = ca().issue(many);
  ASSERT_GT(large->bytes(), small->bytes() + 900);
  ASSERT_LT(large->bytes() + 300, room);
  EXPECT_TRUE(cache.replace(name("c.test"), large));
  EXPECT_LT(cache.size(), 3u);
  EXPECT_LE(cache.bytes(), room);
  EXPECT_EQ(cache.look_up(name("a.test"), now).certificate, nullptr) << "the least recently used";
}

TEST(CertificateCacheTest, OfManyThreadsOneIsToldToNoteAUseWhileRenewalsComeIn) {
  CertificateCache cache({});
  const WallTime now = TestCa::now();
  const auto certificate = ca().issue({"a.test"});
  cache.put(name("a.test"), certificate);
  std::atomic<int> told = 0;
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 5000; ++i) {
        if (cache.look_up(name("a.test"), now).note_use) ++told;
        if (i % 100 == 0) cache.replace(name("a.test"), certificate);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(told, 1);
}

TEST(CertificateCacheTest, AHitIsQuick) {
  CertificateCache cache({});
  const auto certificate = ca().issue({"any.test"});
  std::vector<ServerName> names;
  for (size_t i = 0; i < 10'000; ++i) {
    names.push_back(name("customer-" + std::to_string(i) + ".shops.example.com"));
    cache.put(names.back(), certificate);
  }
  const WallTime now = TestCa::now();
  const auto start = std::chrono::steady_clock::now();
  size_t found = 0;
  for (int round = 0; round < 20; ++round) {
    for (const ServerName& one : names) found += cache.look_up(one, now).certificate != nullptr;
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  std::printf("a hit among 10000 takes %.0f ns\n", took.count() / static_cast<double>(found));
  EXPECT_EQ(found, 200'000u);
}

}  // namespace
}  // namespace latchkey
