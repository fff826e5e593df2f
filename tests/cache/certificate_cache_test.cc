#include "cache/certificate_cache.h"

#include <gtest/gtest.h>

#include <thread>

#include "tests/support/test_certificates.h"

namespace latchkey {
namespace {

using std::chrono::hours;

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
  const size_t bound = 10 * (certificate->bytes() + 250);
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

TEST(CertificateCacheTest, AHitIsQuick) {
  CertificateCache cache({});
  const auto certificate = ca().issue({"any.test"});
  std::vector<ServerName> names;
  for (size_t i = 0; i < 10'000; ++i) {
    names.push_back(name("customer-" + std::to_string(i) + ".shops.example.com"));
    cache.put(names.back(), certificate);
  }
  const auto start = std::chrono::steady_clock::now();
  size_t found = 0;
  for (int round = 0; round < 20; ++round) {
    for (const ServerName& one : names) found += cache.find(one) != nullptr;
  }
  const std::chrono::duration<double, std::nano> took = std::chrono::steady_clock::now() - start;
  std::printf("a hit among 10000 takes %.0f ns\n", took.count() / static_cast<double>(found));
  EXPECT_EQ(found, 200'000u);
}

}  // namespace
}  // namespace latchkey
