// Certificates that live for a minute (tests/run --long: five), renewed over and over while
// visitors keep coming.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>

#include "tests/support/ask_site.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

struct Scale {
  size_t names;
  int validity;  // seconds
  int seconds;   // of visits
  double rate;   // handshakes a second
};

Scale scale() {
  if (std::getenv("LATCHKEY_LONG") != nullptr) return {200, 300, 720, 200};
  return {20, 60, 120, kSanitized ? 30.0 : 100.0};
}

Site::Options short_lives(int validity) {
  Site::Options options;
  options.validity = validity;
  return options;
}

TEST(ShortLivedTest, NobodyEverSeesAFailureOrAnExpiredCertificate) {
  const Scale sizes = scale();
  Site site(short_lives(sizes.validity));
  site.edge.settings.limits = "\"none\"";
  ASSERT_TRUE(site.edge.start());
  const auto name = [&](size_t i) { return "n" + std::to_string(i % sizes.names) + ".test"; };
  for (const Handshake& first : site.swarm(sizes.names, name)) {
    ASSERT_TRUE(first.verified) << first.error;
  }

  SwarmOptions visitors;
  visitors.port = site.https.number();
  visitors.count = static_cast<size_t>(sizes.rate * sizes.seconds);
  visitors.sni = name;
  visitors.roots = site.pebble->roots();
  visitors.rate = sizes.rate;
  visitors.limit = std::chrono::seconds(sizes.seconds + 30);
  const auto handshakes = swarm(visitors);

  size_t failed = 0, expired = 0;
  std::map<std::string, std::map<std::string, size_t>> serials;  // by name
  auto least = std::chrono::seconds(sizes.validity);
  Millis slowest{0};
  for (size_t i = 0; i < handshakes.size(); ++i) {
    const Handshake& handshake = handshakes[i];
    if (!handshake.verified && ++failed <= 5) {
      ADD_FAILURE() << name(i) << " at " << static_cast<double>(i) / sizes.rate
                    << " s: " << handshake.error << ", life left " << handshake.left.count();
    }
    if (!handshake.done) continue;
    if (handshake.left.count() < 0) ++expired;
    least = std::min(least, handshake.left);
    slowest = std::max(slowest, handshake.took);
    ++serials[name(i)][handshake.serial];
  }
  size_t fewest = ~0ul, most = 0;
  for (const auto& [which, seen] : serials) {
    fewest = std::min(fewest, seen.size());
    most = std::max(most, seen.size());
  }
  std::printf(
      "%zu handshakes: %zu failed, %zu expired, least life left %d s, slowest %d ms; %zu orders "
      "for "
      "%zu names, %zu to %zu certificates seen of each\n",
      handshakes.size(), failed, expired, static_cast<int>(least.count()),
      static_cast<int>(slowest.count()), site.pebble->orders(), sizes.names, fewest, most);
  EXPECT_EQ(failed, 0u);
  EXPECT_EQ(expired, 0u);

  // Renewed at half of their life, a fiftieth of it earlier or later.
  const double interval = sizes.validity * 0.5;
  const auto at_least = static_cast<size_t>(sizes.seconds / (interval * 1.2));
  const auto at_most = 2 + static_cast<size_t>(std::ceil(sizes.seconds / (interval * 0.92)));
  EXPECT_GE(fewest, at_least);
  EXPECT_LE(most, at_most);
  EXPECT_LE(site.pebble->orders(), sizes.names * at_most);
  EXPECT_GE(site.pebble->orders(), sizes.names * at_least);
  ASSERT_TRUE(site.edge.terminate());
  EXPECT_EQ(StoreFile(site.database()).certificates(), sizes.names);
}

}  // namespace
}  // namespace latchkey::test
