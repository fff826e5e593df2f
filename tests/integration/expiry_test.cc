// A start with everything expired and nobody to be reached: what visitors get, by policy, and that
// it heals without help.
#include <gtest/gtest.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/stopped_store.h"

namespace latchkey::test {
namespace {

using std::chrono::hours;

class ExpiryTest : public ::testing::Test {
 protected:
  ExpiryTest() : site_(without_pebble()) { site_.edge.settings.directory = ca_.directory(); }

  // The names' certificates expired an hour ago, and the CA takes connections without answering.
  void start_with_expired(const std::vector<std::string>& names) {
    ASSERT_TRUE(site_.edge.start());
    ASSERT_TRUE(site_.edge.terminate());
    {
      StoppedStore store(site_.state_dir());
      const WallTime now = TestCa::now();
      for (const auto& name : names) {
        store.put(name, old_ca_.issue({name}, now - hours(49), now - hours(1)));
      }
    }
    ca_.hang();
    ASSERT_TRUE(site_.edge.start());
    EXPECT_LT(site_.edge.ready_after(), Millis(5000));
  }
  // The CA is back; the name gets a new certificate by itself.
  void expect_healing(const std::string& name) {
    ca_.behave();
    const Stopwatch time;
    EXPECT_TRUE(eventually([&] { return visit(name).verified; }, Millis(90'000)));
    std::printf("healed after %d ms\n", static_cast<int>(time.elapsed().count()));
  }
  // `verified`: by the CA that makes new ones.
  Handshake visit(const std::string& name) {
    TlsOptions client = site_.tls(name);
    client.roots = ca_.roots();
    return TlsClient(client).handshake();
  }

  const TestCa old_ca_{"Old"};
  ScriptedCa ca_;
  Site site_;
};

TEST_F(ExpiryTest, TheOldOneIsServedAfterAShortWaitAndThenAtOnce) {
  start_with_expired({"a.test"});
  const Handshake first = visit("a.test");
  ASSERT_TRUE(first.done) << first.error;
  EXPECT_LT(first.left.count(), 0);
  EXPECT_LT(first.took, Millis(8000));
  for (int i = 0; i < 5; ++i) {
    const Handshake next = visit("a.test");
    EXPECT_TRUE(next.done) << next.error;
    EXPECT_EQ(next.serial, first.serial);
    EXPECT_LT(next.took, Millis(1000));
  }
  // One that nobody has heard of gets no old certificate of anybody's.
  EXPECT_FALSE(visit("b.test").done);
  expect_healing("a.test");
}

TEST_F(ExpiryTest, ManyNamesWaitSideBySide) {
  std::vector<std::string> names(60);
  for (size_t i = 0; i < names.size(); ++i) names[i] = "n" + std::to_string(i) + ".test";
  start_with_expired(names);
  const Stopwatch time;
  const auto handshakes = site_.swarm(names.size(), [&](size_t i) { return names[i]; });
  for (size_t i = 0; i < names.size(); ++i) {
    EXPECT_TRUE(handshakes[i].done) << names[i] << ": " << handshakes[i].error;
  }
  EXPECT_LT(time.elapsed(), Millis(10'000));
}

TEST_F(ExpiryTest, SelfSignedSaysSo) {
  site_.edge.settings.renewal = R"({"expired": "self_signed"})";
  start_with_expired({"a.test"});
  const Handshake handshake = visit("a.test");
  EXPECT_TRUE(handshake.done) << handshake.error;
  EXPECT_FALSE(handshake.verified);
  EXPECT_GE(handshake.left.count(), 0);
}

TEST_F(ExpiryTest, RefuseRefusesForNow) {
  site_.edge.settings.renewal = R"({"expired": "refuse"})";
  start_with_expired({"a.test"});
  const Handshake handshake = visit("a.test");
  EXPECT_FALSE(handshake.done);
  EXPECT_EQ(handshake.alert, alert::kInternalError);
}

TEST_F(ExpiryTest, Port80ProxiesWhereItIsToldToAndRedirectsAgainAfterwards) {
  site_.edge.settings.renewal = R"({"http_fallback": true})";
  start_with_expired({"a.test"});
  EXPECT_TRUE(visit("a.test").done);
  HttpAnswer answer;
  EXPECT_TRUE(eventually(
      [&] {
        answer = site_.plain_get("a.test", "/cart");
        return answer.status == 200;
      },
      Millis(30'000)))
      << answer.status;
  EXPECT_EQ(answer.body, "page of a.test /cart");
  EXPECT_NE(site_.plain_get("new.test", "/cart").status, 200);  // only what has expired
  expect_healing("a.test");
  EXPECT_EQ(site_.plain_get("a.test", "/cart").status, 308);
}

TEST_F(ExpiryTest, WithoutTheFallbackPort80Redirects) {
  start_with_expired({"a.test"});
  EXPECT_TRUE(visit("a.test").done);
  EXPECT_EQ(site_.plain_get("a.test", "/cart").status, 308);
}

}  // namespace
}  // namespace latchkey::test
