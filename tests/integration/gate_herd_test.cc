// Ten thousand visitors at once, for a name that is new, and for names that are denied.
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <future>
#include <set>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"

namespace latchkey::test {
namespace {

constexpr size_t kKibForAParkedHandshake = 24;

// LATCHKEY_HERD says otherwise; a sanitizer's build takes its time.
size_t herd_size() {
  const char* text = std::getenv("LATCHKEY_HERD");
  if (text != nullptr) return std::strtoul(text, nullptr, 10);
  return kSanitized ? 1'500 : 10'000;
}

SwarmOptions herd(const Site& site, size_t count) {
  SwarmOptions options;
  options.port = site.https.number();
  options.count = count;
  options.source = spread_sources();
  options.limit = Millis(90'000);
  if (site.pebble) options.roots = site.pebble->roots();
  return options;
}

size_t parked(const Site& site) {
  return static_cast<size_t>(at(site.edge.admin_json("GET", "/status"), "parked").number);
}

TEST(GateHerdTest, AllForOneNewNameShareOneQuestionAndOneOrderAndLittleMemory) {
  const size_t count = herd_size();
  std::promise<void> release;
  AskSite site;
  site.judge.judge_by([held = release.get_future().share()](const std::string& name) {
    if (name == "herd.test") held.wait();
    return Response();
  });
  site.edge.settings.ask_timeout = "60s";
  site.edge.settings.park_timeout = "90s";
  site.edge.settings.log_level = "info";
  ASSERT_TRUE(site.edge.start());
  ASSERT_TRUE(site.visit("first.test").handshake.verified);
  const size_t before = site.edge.process().resident_bytes();

  size_t waiting = 0;
  SwarmOptions options = herd(site, count);
  options.sni = [](size_t) { return "herd.test"; };
  options.all_sent = [&] {
    eventually([&] { return (waiting = parked(site)) >= count; }, Millis(20'000));
    release.set_value();
  };
  const auto handshakes = swarm(options);
  std::set<std::string> serials;
  size_t verified = 0;
  Millis slowest{0};
  std::string first_error;
  for (const auto& handshake : handshakes) {
    verified += handshake.verified ? 1 : 0;
    if (!handshake.verified && first_error.empty()) first_error = handshake.error;
    serials.insert(handshake.serial);
    slowest = std::max(slowest, handshake.took);
  }
  EXPECT_EQ(waiting, count) << "that many were parked at once";
  EXPECT_EQ(verified, count) << first_error;
  EXPECT_EQ(serials.size(), 1u);
  EXPECT_EQ(site.judge.asked("herd.test"), 1u);
  EXPECT_EQ(site.pebble->orders(), 2u);  // the first name's is the other
  const size_t peak = site.edge.process().peak_resident_bytes();
  const double each = static_cast<double>(peak - before) / 1024 / static_cast<double>(count);
  std::printf("%zu parked, RSS from %.1f to %.1f MiB: %.1f KiB for each; the slowest took %d ms\n",
              waiting, static_cast<double>(before) / (1 << 20),
              static_cast<double>(peak) / (1 << 20), each, static_cast<int>(slowest.count()));
  if (!kSanitized) {
    EXPECT_LE(each, kKibForAParkedHandshake);
  }
  EXPECT_TRUE(site.edge.terminate());
}

TEST(GateHerdTest, AllForDeniedNamesCostAQuestionANameAndNothingThatStays) {
  const size_t count = herd_size();
  const size_t names = count / 10;
  AskSite site;
  site.judge.judge_by([](const std::string& name) {
    Response response;
    if (!name.starts_with("good")) response.status = 403;
    return response;
  });
  site.edge.settings.ask_negative_ttl = "10m";
  site.edge.settings.ask_timeout = "30s";
  site.edge.settings.log_level = "info";
  ASSERT_TRUE(site.edge.start());
  ASSERT_TRUE(site.visit("good.test").handshake.verified);
  SwarmOptions few = herd(site, 100);  // what is made once is made before
  few.sni = [](size_t i) { return "w" + std::to_string(i) + ".denied.test"; };
  swarm(few);
  const size_t asked = site.judge.asked();
  const size_t before = site.edge.process().resident_bytes();
  const size_t lines = site.edge.process().lines().size();
  for (const char* round : {"first", "again"}) {
    SwarmOptions options = herd(site, count);
    options.sni = [names](size_t i) { return "n" + std::to_string(i % names) + ".denied.test"; };
    const auto handshakes = swarm(options);
    const auto refused = std::count_if(handshakes.begin(), handshakes.end(), [](const auto& h) {
      return h.alert == alert::kUnrecognizedName;
    });
    EXPECT_EQ(refused, static_cast<ptrdiff_t>(count)) << round;
    EXPECT_EQ(site.judge.asked(), names + asked) << round;
  }
  const auto now = [&] { return site.edge.process().resident_bytes(); };
  const auto given_back = [&] { return kSanitized || now() <= before + before / 20; };
  EXPECT_TRUE(eventually(given_back, Millis(15'000)));
  std::printf("RSS %.1f MiB before, %.1f at its highest, %.1f afterwards; %zu lines logged\n",
              static_cast<double>(before) / (1 << 20),
              static_cast<double>(site.edge.process().peak_resident_bytes()) / (1 << 20),
              static_cast<double>(now()) / (1 << 20), site.edge.process().lines().size() - lines);
  EXPECT_EQ(site.pebble->orders(), 1u);
  EXPECT_LT(site.edge.process().lines().size(), lines + 50);
}

}  // namespace
}  // namespace latchkey::test
