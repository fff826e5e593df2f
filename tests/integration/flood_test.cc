// Random names that nobody has allowed: what they cost, save for time (bench/flood).
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <thread>

#include "tests/support/ask_site.h"
#include "tests/support/client_hello.h"
#include "tests/support/eventually.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

constexpr int kNames = kSanitized ? 1'000 : 5'000;

// One by one from several clients; true if all were refused as unwanted.
bool flood(const Site& site, const std::string& first) {
  constexpr int kClients = 4;
  std::atomic<int> refused = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < kClients; ++c) {
    clients.emplace_back([&, c] {
      for (int i = c; i < kNames; i += kClients) {
        const std::string name = first + std::to_string(i) + ".strangers.test";
        const auto answer = send_raw(site.https.number(), client_hello_for(name));
        if (answer.alert == alert::kUnrecognizedName) ++refused;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(refused, kNames);
  return refused == kNames;
}

// The flood, twice; in between a name that is served. Nothing may be written or grow.
void expect_no_traces(Site& site) {
  ASSERT_TRUE(site.visit("wanted.test").handshake.verified);
  ASSERT_TRUE(flood(site, "w"));
  const size_t memory = site.edge.process().resident_bytes();
  const size_t lines = site.edge.process().lines().size();
  // Events are written behind.
  ASSERT_TRUE(eventually([&] {
    const auto now = StoreFile(site.database()).row_counts();
    return std::find(now.begin(), now.end(), "event 0") == now.end();
  }));
  const auto rows = StoreFile(site.database()).row_counts();
  const auto serial = site.visit("wanted.test").handshake.serial;
  ASSERT_TRUE(flood(site, "x"));
  const auto visit = site.visit("wanted.test");
  EXPECT_TRUE(visit.handshake.verified);
  EXPECT_EQ(visit.handshake.serial, serial);
  EXPECT_EQ(StoreFile(site.database()).row_counts(), rows);
  EXPECT_FALSE(StoreFile(site.database()).contains("strangers.test"));
  EXPECT_LT(site.edge.process().lines().size(), lines + 100);
  if (!kSanitized) {
    EXPECT_LT(site.edge.process().resident_bytes(), memory + (4u << 20));
  }
  EXPECT_EQ(site.pebble->orders(), 1u);
}

TEST(FloodTest, OfNamesThatTheEndpointDeniesLeavesNoTraces) {
  AskSite site;
  site.judge.judge_by([](const std::string& name) {
    Response response;
    if (name != "wanted.test") response.status = 403;
    return response;
  });
  site.edge.settings.log_level = "info";
  ASSERT_TRUE(site.edge.start());
  expect_no_traces(site);
  EXPECT_EQ(site.judge.asked(), 2u * kNames + 1);
  EXPECT_EQ(site.judge.different_names(), 2u * kNames + 1);
}

TEST(FloodTest, OfNamesThatAreNotListedLeavesNoTraces) {
  Site site;
  site.edge.settings.allow = {"wanted.test", "*.wanted.test"};
  site.edge.settings.log_level = "info";
  ASSERT_TRUE(site.edge.start());
  expect_no_traces(site);
}

}  // namespace
}  // namespace latchkey::test
