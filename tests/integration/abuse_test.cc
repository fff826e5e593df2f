// Clients that cost more than they are worth: their connections are ended, the memory is bounded,
// and who behaves is served beside them. The times are printed only; bench/run abuse measures them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>

#include "tests/support/ask_site.h"
#include "tests/support/http2_flood.h"
#include "tests/support/slow_clients.h"

namespace latchkey::test {
namespace {

constexpr size_t kMiB = 1 << 20;

class AbuseTest : public ::testing::Test {
 protected:
  void SetUp() override {
    site_.edge.settings.log_level = "info";
    ASSERT_TRUE(site_.edge.start());
    ASSERT_EQ(site_.visit("a.test").answer.status, 200);
    // What is allocated once: an honest second, and one of each abuse.
    for (const Abuse& abuse : abuse::all(1'500)) {
      Http2Flood(site_.tls("a.test"), abuse, 2, 2 * abuse.units).wait();
    }
    before_ = resident();
  }
  size_t resident() { return site_.edge.process().resident_bytes(); }
  void expect_served(const std::string& beside, const PoliteClient::Figures& figures) {
    std::printf("beside %s: %zu requests, p50 %.1f ms, p99 %.1f ms; the edge has %zu KiB more\n",
                beside.c_str(), figures.answered, figures.at(0.5), figures.at(0.99),
                (std::max(resident(), before_) - before_) >> 10);
    EXPECT_GT(figures.answered, 0u) << beside;
    EXPECT_EQ(figures.failed, 0u) << beside;
  }
  void expect_memory(size_t at_most) {
    if (kSanitized) return;
    EXPECT_LE(resident(), before_ + at_most);
  }

  Site site_;
  size_t before_ = 0;
};

TEST_F(AbuseTest, OfEachKindEndsItsConnectionAndNobodyElses) {
  const size_t connections = kSanitized ? 4 : 40;
  for (const Abuse& abuse : abuse::all(1'500)) {
    PoliteClient polite(site_.tls("a.test"), 50);
    Http2Flood flood(site_.tls("a.test"), abuse, 4, connections * abuse.units);
    flood.wait();
    expect_served(std::to_string(flood.units()) + " " + abuse.name, polite.stop());
    EXPECT_EQ(flood.ended(), flood.connections()) << abuse.name;
    expect_memory(8 * kMiB);
  }
}

TEST_F(AbuseTest, OfSlowClientsCostsLittleMemory) {
  constexpr size_t kClients = 500;
  const SlowClients slow(site_.tls("a.test"), kClients);
  EXPECT_EQ(slow.connected(), kClients);
  PoliteClient polite(site_.tls("a.test"), 50);
  std::this_thread::sleep_for(std::chrono::seconds(3));
  expect_memory(kClients * (32 << 10));
  expect_served("500 slow clients", polite.stop());
}

}  // namespace
}  // namespace latchkey::test
