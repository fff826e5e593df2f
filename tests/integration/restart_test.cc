// Nothing is lost, whenever the process ends.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <map>
#include <random>
#include <thread>

#include "tests/support/eventually.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

TEST(RestartTest, StoredNamesAreServedAtOnceWithTheCaAndTheAskDown) {
  Site site;
  const ReservedPort ask_port;
  auto ask =
      std::make_unique<HttpServer>([](const Request&) { return Response(); }, ask_port.number());
  site.edge.settings.allow = {};
  site.edge.settings.ask = ask->url("/check");
  ASSERT_TRUE(site.edge.start());
  std::map<std::string, std::string> serials;
  for (const char* name : {"a.test", "b.test", "c.test"}) {
    const auto visit = site.visit(name);
    ASSERT_TRUE(visit.handshake.verified) << visit.handshake.error;
    serials[name] = visit.handshake.serial;
  }
  ASSERT_TRUE(site.edge.terminate());
  site.pebble->stop();
  ask.reset();

  ASSERT_TRUE(site.edge.start());
  std::printf("ready after %d ms\n", static_cast<int>(site.edge.ready_after().count()));
  EXPECT_LT(site.edge.ready_after(), Millis(5000));  // the aim is 1 s on an idle machine
  for (const auto& [name, serial] : serials) {
    const auto visit = site.visit(name);
    EXPECT_TRUE(visit.handshake.verified) << visit.handshake.error;
    EXPECT_EQ(visit.handshake.serial, serial);
    EXPECT_EQ(visit.answer.status, 200);
  }
  const auto unknown = site.visit("new.test");
  EXPECT_EQ(unknown.handshake.alert, alert::kInternalError) << unknown.handshake.error;
}

// Each round kills the process at another moment of a few issuances.
class KillTest : public ::testing::TestWithParam<unsigned> {};

TEST_P(KillTest, WhatWasServedIsThereAfterwards) {
  const int rounds = std::getenv("LATCHKEY_LONG") == nullptr ? 10 : 100;
  constexpr size_t kNames = 3;
  Site site;
  std::mt19937 random(GetParam());
  std::map<std::string, std::string> served;  // name to serial
  ASSERT_TRUE(site.edge.start());
  for (int round = 0; round < rounds; ++round) {
    const auto name = [round](size_t i) {
      return "r" + std::to_string(round) + "n" + std::to_string(i) + ".test";
    };
    // An issuance takes 50 to 100 ms here: some kills come before it, some behind it.
    const Millis moment(std::uniform_int_distribution<int>(0, 130)(random));
    auto visitors = std::async(std::launch::async, [&] { return site.swarm(kNames, name); });
    std::this_thread::sleep_for(moment);
    site.edge.kill_hard();
    const auto handshakes = visitors.get();
    size_t done = 0;
    for (size_t i = 0; i < kNames; ++i) {
      if (!handshakes[i].done) continue;
      served[name(i)] = handshakes[i].serial;
      ++done;
    }
    std::printf("killed after %d ms: %zu of %zu served\n", static_cast<int>(moment.count()), done,
                kNames);
    ASSERT_TRUE(StoreFile(site.database()).sound());
    ASSERT_TRUE(site.edge.start());
    for (size_t i = 0; i < kNames; ++i) {
      const auto visit = site.visit(name(i));
      ASSERT_TRUE(visit.handshake.verified)
          << name(i) << " after a kill at " << moment.count() << " ms: " << visit.handshake.error;
      const auto before = served.find(name(i));
      if (before != served.end()) {
        EXPECT_EQ(visit.handshake.serial, before->second);
      }
      served[name(i)] = visit.handshake.serial;
    }
  }
  site.edge.kill_hard();
  ASSERT_TRUE(site.edge.start());
  const size_t orders = site.pebble->orders();
  for (const auto& [name, serial] : served) {
    EXPECT_EQ(site.visit(name).handshake.serial, serial);
  }
  EXPECT_EQ(site.pebble->orders(), orders);
}

// 3 x 10 rounds, or 3 x 100; the seeds only make the moments differ.
INSTANTIATE_TEST_SUITE_P(Seeds, KillTest, ::testing::Values(1u, 2u, 3u));

}  // namespace
}  // namespace latchkey::test
