#include "edge/upstream/choose.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <string>

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

ServerPtr server(uint16_t port, unsigned weight = 1, unsigned tier = 0) {
  auto endpoint = std::make_shared<Endpoint>();
  endpoint->address = "127.0.0.1";
  endpoint->port = port;
  auto made = std::make_shared<Server>();
  made->endpoint = std::move(endpoint);
  made->weight = weight;
  made->tier = tier;
  return made;
}

class ChooseTest : public testing::Test {
 protected:
  uint16_t next(std::vector<ServerPtr> tried = {}) {
    const ServerPtr chosen = choose(servers, tried, of);
    return chosen == nullptr ? uint16_t{0} : chosen->endpoint->port;
  }
  std::map<uint16_t, int> counts(int times) {
    std::map<uint16_t, int> out;
    for (int i = 0; i < times; ++i) ++out[next()];
    return out;
  }

  std::minstd_rand random{7};
  ChoiceOf of{.now = TimePoint(1000s), .client = "192.0.2.1", .random = [this] {
                return static_cast<uint32_t>(random() << 1);
              }};
  std::vector<ServerPtr> servers{server(1), server(2), server(3)};
};

TEST_F(ChooseTest, TurnsFollowWeightsAndAreSpread) {
  servers = {server(1, 3), server(2, 1)};
  std::string turns;
  for (int i = 0; i < 8; ++i) turns += std::to_string(next());
  EXPECT_EQ(turns, "11211121");
}

TEST_F(ChooseTest, WhoIsNotWellOrWasTriedIsLeftOut) {
  servers[0]->down = true;
  servers[1]->ejected_until = of.now + 1s;
  EXPECT_EQ(next(), 3);
  EXPECT_EQ(next(), 3);
  of.now += 1s;
  EXPECT_EQ(counts(10), (std::map<uint16_t, int>{{2, 5}, {3, 5}}));
  EXPECT_EQ(next({servers[1], servers[2]}), 1) << "better one that is down than none";
  EXPECT_EQ(next(servers), 0);
}

TEST_F(ChooseTest, WhenNobodyIsWellEverybodyIsTried) {
  for (const ServerPtr& one : servers) one->down = true;
  EXPECT_EQ(counts(9), (std::map<uint16_t, int>{{1, 3}, {2, 3}, {3, 3}}));
}

TEST_F(ChooseTest, AHigherTierStandsIn) {
  servers = {server(1), server(2), server(3, 1, 1)};
  EXPECT_EQ(counts(4), (std::map<uint16_t, int>{{1, 2}, {2, 2}}));
  servers[0]->down = servers[1]->down = true;
  EXPECT_EQ(next(), 3);
  servers[2]->down = true;
  EXPECT_NE(next(), 3) << "nobody is well: the first tier again";
}

TEST_F(ChooseTest, TheLeastLoadedByItsWeight) {
  of.balance = Balance::kLeastConn;
  servers = {server(1, 2), server(2, 1), server(3, 1)};
  servers[0]->active = 3;  // 4 / 2
  servers[1]->active = 2;  // 3 / 1
  servers[2]->active = 2;
  EXPECT_EQ(next(), 1);
  servers[2]->active = 0;
  EXPECT_EQ(next(), 3);
  for (const ServerPtr& one : servers) one->active = 0;
  servers[0]->weight = 1;
  EXPECT_EQ(counts(9), (std::map<uint16_t, int>{{1, 3}, {2, 3}, {3, 3}})) << "by turns";
}

TEST_F(ChooseTest, OfTwoAtRandomTheBetterOne) {
  of.balance = Balance::kRandomTwo;
  servers[0]->active = 100;
  const auto seen = counts(3000);
  EXPECT_LT(seen.at(1), 500) << "only where both are the loaded one: a ninth";
  EXPECT_GT(seen.at(1), 200);
  EXPECT_GT(seen.at(2), 1000);
}

TEST_F(ChooseTest, AClientKeepsItsServerAndOnlyTheLostOnesMove) {
  of.balance = Balance::kIpHash;
  std::map<std::string, uint16_t> before;
  for (int i = 0; i < 3000; ++i) {
    const std::string client = "10.0." + std::to_string(i / 256) + "." + std::to_string(i % 256);
    of.client = client;
    before[client] = next();
  }
  std::map<uint16_t, int> share;
  for (const auto& [client, port] : before) ++share[port];
  for (const auto& [port, count] : share) EXPECT_NEAR(count, 1000, 150) << port;
  servers[1]->down = true;
  for (const auto& [client, port] : before) {
    of.client = client;
    if (port != 2) {
      EXPECT_EQ(next(), port);
    }
  }
}

TEST_F(ChooseTest, AnIpv6ClientIsItsNetwork) {
  of.balance = Balance::kIpHash;
  servers.clear();
  for (uint16_t port = 1; port <= 50; ++port) servers.push_back(server(port));
  const auto of_client = [&](std::string_view client) {
    of.client = client;
    return next();
  };
  EXPECT_EQ(of_client("2001:db8:1:2:3:4:5:6"), of_client("2001:db8:1:2:ffff::1"));
  EXPECT_NE(of_client("2001:db8:1:2:3:4:5:6"), of_client("2001:db8:1:3:3:4:5:6"));
}

TEST_F(ChooseTest, WhoComesBackGetsItsPartSlowly) {
  of.slow_start = 10s;
  servers = {server(1), server(2)};
  servers[1]->since = of.now;
  EXPECT_NEAR(counts(1100)[2], 100, 5) << "a tenth of the weight";
  of.now += 5s;
  EXPECT_NEAR(counts(1500)[2], 500, 5);
  of.now += 5s;
  EXPECT_NEAR(counts(1000)[2], 500, 5);
}

}  // namespace
}  // namespace latchkey::edge
