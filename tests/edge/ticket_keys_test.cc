#include "edge/ticket_keys.h"

#include <gtest/gtest.h>

#include <set>

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

class TicketKeysTest : public testing::Test {
 protected:
  TicketKeys keys_of(char secret) {
    return TicketKeys(std::string(32, secret), [this] { return now; });
  }
  WallTime now{std::chrono::hours(12 * 40'000)};
};

TEST_F(TicketKeysTest, AllWhoShareTheSecretHaveTheSameKeys) {
  const TicketKeys mine = keys_of('a'), others = keys_of('a'), strangers = keys_of('b');
  const auto found = others.find(mine.newest().name);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->newest);
  EXPECT_EQ(found->key.cipher, mine.newest().cipher);
  EXPECT_EQ(found->key.mac, mine.newest().mac);
  EXPECT_FALSE(strangers.find(mine.newest().name));
}

TEST_F(TicketKeysTest, AKeySealsForTwelveHoursAndOpensForAnotherThirtySix) {
  const TicketKeys keys = keys_of('a');
  const TicketKeys::Key first = keys.newest();
  now += 12h - 1s;
  EXPECT_EQ(keys.newest().name, first.name);
  for (int older = 1; older <= TicketKeys::kOlder; ++older) {
    now += older == 1 ? std::chrono::seconds(1) : std::chrono::seconds(12h);
    EXPECT_NE(keys.newest().name, first.name);
    const auto found = keys.find(first.name);
    ASSERT_TRUE(found) << older;
    EXPECT_FALSE(found->newest) << "another ticket is due";
    EXPECT_EQ(found->key.cipher, first.cipher);
  }
  now += 12h;
  EXPECT_FALSE(keys.find(first.name));
}

// Clocks of a cluster differ.
TEST_F(TicketKeysTest, TheNextKeyIsTakenAlready) {
  const TicketKeys keys = keys_of('a');
  now += 12h;
  const TicketKeys::Key next = keys.newest();
  now -= 1s;
  EXPECT_NE(keys.newest().name, next.name);
  const auto found = keys.find(next.name);
  ASSERT_TRUE(found);
  EXPECT_TRUE(found->newest);
  now -= 12h;
  EXPECT_FALSE(keys.find(next.name));
}

TEST_F(TicketKeysTest, NoTwoPartsAreAlike) {
  const TicketKeys keys = keys_of('a');
  std::set<std::string> parts;
  for (int period = 0; period < 5; ++period, now += 12h) {
    const TicketKeys::Key key = keys.newest();
    parts.emplace(key.name.begin(), key.name.end());
    parts.emplace(key.cipher.begin(), key.cipher.end());
    parts.emplace(key.mac.begin(), key.mac.end());
  }
  EXPECT_EQ(parts.size(), 15u);
}

}  // namespace
}  // namespace latchkey::edge
