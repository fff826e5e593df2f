#include "edge/parking_bounds.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace latchkey::edge {
namespace {

using Bound = ParkingBounds::Bound;
using Place = ParkingBounds::Place;

ServerName name(const std::string& text) {
  return *ServerName::parse(text);
}

std::optional<Bound> broken(const std::variant<Place, Bound>& taken) {
  const auto* bound = std::get_if<Bound>(&taken);
  return bound != nullptr ? std::optional(*bound) : std::nullopt;
}

TEST(SourcePrefixTest, AnIPv4AddressCountsByItsFirst24Bits) {
  EXPECT_EQ(SourcePrefix::of("192.0.2.1"), SourcePrefix::of("192.0.2.255"));
  EXPECT_NE(SourcePrefix::of("192.0.2.1"), SourcePrefix::of("192.0.3.1"));
  EXPECT_NE(SourcePrefix::of("0.0.0.0"), SourcePrefix::of("0.0.1.0"));
}

TEST(SourcePrefixTest, AnIPv6AddressCountsByItsFirst64Bits) {
  EXPECT_EQ(SourcePrefix::of("2001:db8:0:1::1"), SourcePrefix::of("2001:db8:0:1:ffff:ffff::2"));
  EXPECT_NE(SourcePrefix::of("2001:db8:0:1::1"), SourcePrefix::of("2001:db8:0:2::1"));
  EXPECT_EQ(SourcePrefix::of("fe80::1%eth0"), SourcePrefix::of("fe80::2"));
}

TEST(SourcePrefixTest, AnIPv4AddressInIPv6IsAnIPv4Address) {
  EXPECT_EQ(SourcePrefix::of("::ffff:192.0.2.1"), SourcePrefix::of("192.0.2.9"));
  EXPECT_NE(SourcePrefix::of("::ffff:192.0.2.1"), SourcePrefix::of("::ffff:198.51.100.1"));
  EXPECT_NE(SourcePrefix::of("::ffff:0.0.0.1"), SourcePrefix::of("::1"));
  EXPECT_NE(SourcePrefix::of("0.0.0.1"), SourcePrefix::of("::1"));
}

TEST(SourcePrefixTest, WhatIsNoAddressIsOneSourceApartFromAllOthers) {
  EXPECT_EQ(SourcePrefix::of(""), SourcePrefix::of("somewhere"));
  EXPECT_NE(SourcePrefix::of(""), SourcePrefix::of("255.255.255.255"));
  EXPECT_NE(SourcePrefix::of(""), SourcePrefix::of("ffff:ffff:ffff:ffff::1"));
}

class ParkingBoundsTest : public testing::Test {
 protected:
  auto take(const std::string& of, const std::string& from) {
    return bounds.take(name(of), SourcePrefix::of(from));
  }
  ParkingBounds bounds{{.total = 4, .per_name = 3, .per_prefix = 2}};
};

TEST_F(ParkingBoundsTest, TheBoundThatIsBrokenIsNamed) {
  const auto a1 = take("a.test", "192.0.2.1"), a2 = take("a.test", "192.0.2.2");
  EXPECT_EQ(broken(take("b.test", "192.0.2.3")), Bound::kPerPrefix);
  const auto a3 = take("a.test", "192.0.3.1");
  EXPECT_EQ(broken(take("a.test", "192.0.4.1")), Bound::kPerName);
  const auto b1 = take("b.test", "192.0.4.1");
  EXPECT_EQ(broken(b1), std::nullopt);
  EXPECT_EQ(broken(take("c.test", "192.0.5.1")), Bound::kTotal);
  EXPECT_EQ(bounds.parked(), 4u);
  EXPECT_EQ(bounds.names(), 2u);
  EXPECT_EQ(bounds.sources(), 3u);
}

TEST_F(ParkingBoundsTest, NothingStaysOfThoseWhoHaveLeftOrWereRefused) {
  {
    auto first = take("a.test", "192.0.2.1");
    Place moved = std::get<Place>(std::move(first));
    Place again;
    again = std::move(moved);
    EXPECT_EQ(bounds.parked(), 1u);
    const auto second = take("b.test", "192.0.2.1");
    EXPECT_EQ(broken(take("c.test", "192.0.2.1")), Bound::kPerPrefix);
    EXPECT_EQ(bounds.names(), 2u);
    again = Place();
    EXPECT_EQ(bounds.parked(), 1u);
  }
  EXPECT_EQ(bounds.parked(), 0u);
  EXPECT_EQ(bounds.names(), 0u);
  EXPECT_EQ(bounds.sources(), 0u);
}

TEST_F(ParkingBoundsTest, ABoundOfZeroLetsNobodyIn) {
  ParkingBounds closed{{.total = 4, .per_name = 0, .per_prefix = 1}};
  EXPECT_EQ(broken(closed.take(name("a.test"), {})), Bound::kPerName);
  EXPECT_EQ(closed.names() + closed.sources() + closed.parked(), 0u);
}

// Eight threads come and go; whoever is in counts for itself, too.
TEST(ParkingBoundsThreadsTest, NoBoundIsEverExceeded) {
  constexpr size_t kNames = 3, kSources = 3, kRounds = 20'000;
  ParkingBounds bounds{{.total = 12, .per_name = 5, .per_prefix = 6}};
  std::vector<ServerName> names;
  std::vector<SourcePrefix> sources;
  for (size_t i = 0; i < kNames; ++i) names.push_back(name("n" + std::to_string(i) + ".test"));
  for (size_t i = 0; i < kSources; ++i) {
    sources.push_back(SourcePrefix::of("192.0." + std::to_string(i) + ".1"));
  }
  std::atomic<size_t> in{0}, taken{0};
  std::array<std::atomic<size_t>, kNames> of_name{};
  std::array<std::atomic<size_t>, kSources> of_source{};
  std::atomic<bool> exceeded{false};
  std::vector<std::thread> threads;
  for (size_t t = 0; t < 8; ++t) {
    threads.emplace_back([&, t] {
      struct Held {
        Place place;
        size_t n, s;
      };
      std::vector<Held> held;
      size_t dice = t + 1;
      for (size_t i = 0; i < kRounds; ++i) {
        dice = dice * 6364136223846793005ULL + 1442695040888963407ULL;
        const size_t n = (dice >> 33) % kNames, s = (dice >> 43) % kSources;
        auto got = bounds.take(names[n], sources[s]);
        if (auto* place = std::get_if<Place>(&got)) {
          ++taken;
          if (++in > 12 || ++of_name[n] > 5 || ++of_source[s] > 6) exceeded = true;
          held.push_back({std::move(*place), n, s});
        }
        if (held.size() > 2 || (!held.empty() && (dice >> 53) % 2 == 0)) {
          --in, --of_name[held.back().n], --of_source[held.back().s];
          held.pop_back();
        }
      }
      for (const Held& one : held) --in, --of_name[one.n], --of_source[one.s];
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exceeded);
  EXPECT_GT(taken, 0u);
  EXPECT_EQ(bounds.parked() + bounds.names() + bounds.sources(), 0u);
}

}  // namespace
}  // namespace latchkey::edge
