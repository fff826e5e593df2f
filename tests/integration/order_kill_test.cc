// The power is cut between any two steps of an order: afterwards the same order is finished, or
// cleanly given up.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>

#include "base/fault_point.h"
#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/site.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

class OrderKillTest : public ::testing::TestWithParam<std::string_view> {
 protected:
  std::string point() const { return std::string(GetParam()); }
  bool is_before(std::string_view other) const {
    return std::find(kFaultPoints.begin(), kFaultPoints.end(), GetParam()) <
           std::find(kFaultPoints.begin(), kFaultPoints.end(), other);
  }

  void start_armed(Edge& edge) {
    edge.settings.env = {{"LATCHKEY_FAULT_POINT", point()}};
    ASSERT_TRUE(edge.start());
  }
  void expect_kill(Edge& edge) {
    const auto exit = edge.expect_end();
    ASSERT_TRUE(exit) << "nothing passes " << point() << "\n" << edge.log();
    ASSERT_EQ(exit->signal, SIGKILL) << edge.log();
    edge.settings.env = {};
  }
  // The end of each test: key and certificate are one pair, and nothing is left over.
  void expect_order(Site& site, const std::string& roots, const std::string& serial) {
    TlsOptions client = site.tls("a.test");
    client.roots = roots;
    ASSERT_TRUE(site.edge.terminate());
    const StoreFile store(site.database());
    EXPECT_TRUE(store.sound());
    EXPECT_EQ(store.certificates(), 1u);
    EXPECT_EQ(store.query("SELECT count(*) FROM order_state"), std::vector<std::string>{"0"});
    ASSERT_TRUE(site.edge.start());
    const TlsClient again(client);
    EXPECT_TRUE(again.handshake().verified) << again.handshake().error;
    EXPECT_EQ(again.handshake().serial, serial);
  }
};

std::string test_name(const ::testing::TestParamInfo<std::string_view>& test) {
  std::string name(test.param);
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

ScriptedCa::Options with_challenges() {
  ScriptedCa::Options options;
  options.challenges = true;
  return options;
}

// With a CA that forgets nothing, every order that we know of can be finished.
TEST_P(OrderKillTest, TheSameOrderIsFinished) {
  ScriptedCa ca(with_challenges());
  Site site(without_pebble());
  site.edge.settings.directory = ca.directory();
  start_armed(site.edge);
  TlsOptions client = site.tls("a.test");
  client.roots = ca.roots();
  const TlsClient cut_off(client);
  expect_kill(site.edge);

  ASSERT_TRUE(site.edge.start());
  const TlsClient visitor(client);
  EXPECT_TRUE(visitor.handshake().verified) << visitor.handshake().error;
  const size_t orders = ca.orders("a.test");
  if (is_before("order.stored")) {
    EXPECT_LE(orders, 2u);
  } else {
    EXPECT_EQ(orders, 1u);
  }
  expect_order(site, ca.roots(), visitor.handshake().serial);
  EXPECT_EQ(ca.orders("a.test"), orders);
}

// The certificate in use is served on, whatever becomes of its successor.
TEST_P(OrderKillTest, ARenewalIsFinished) {
  ScriptedCa ca(with_challenges());
  Site site(without_pebble());
  site.edge.settings.directory = ca.directory();
  ASSERT_TRUE(site.edge.start());
  TlsOptions client = site.tls("a.test");
  client.roots = ca.roots();
  const TlsClient first(client);
  ASSERT_TRUE(first.handshake().verified) << first.handshake().error;
  ASSERT_TRUE(site.edge.terminate());

  start_armed(site.edge);
  site.edge.admin("POST", "/names/a.test:renew");
  expect_kill(site.edge);
  ASSERT_TRUE(site.edge.start());
  const TlsClient after(client);
  EXPECT_TRUE(after.handshake().verified) << after.handshake().error;
  // What nobody can know of is left alone; all else is finished without help.
  std::string serial;
  const bool finished = eventually(
      [&] {
        const TlsClient now(client);
        EXPECT_TRUE(now.handshake().verified) << now.handshake().error;
        serial = now.handshake().serial;
        return serial != first.handshake().serial;
      },
      Millis(is_before("order.stored") ? 2000 : 20'000));
  if (!is_before("order.stored")) {
    EXPECT_TRUE(finished) << site.edge.log();
    EXPECT_EQ(ca.orders("a.test"), 2u);
  } else {
    EXPECT_LE(ca.orders("a.test"), 3u);
  }
  expect_order(site, ca.roots(), serial);
}

// A real CA looks for the challenge's answer while nobody gives it: that order is lost.
TEST_P(OrderKillTest, WithPebbleTheNameIsServedAllTheSame) {
  Site site;
  start_armed(site.edge);
  site.connect("a.test");
  expect_kill(site.edge);
  ASSERT_TRUE(site.edge.start());
  Handshake handshake;
  EXPECT_TRUE(eventually(
      [&] {
        handshake = site.connect("a.test").handshake();
        return handshake.verified;
      },
      Millis(30'000)))
      << handshake.error;
  const bool may_be_lost = is_before("order.stored") || point() == "challenge.accepted";
  EXPECT_LE(site.pebble->orders(), may_be_lost ? 2u : 1u);
  expect_order(site, site.pebble->roots(), handshake.serial);
}

INSTANTIATE_TEST_SUITE_P(At, OrderKillTest, ::testing::ValuesIn(kFaultPoints), test_name);

}  // namespace
}  // namespace latchkey::test
