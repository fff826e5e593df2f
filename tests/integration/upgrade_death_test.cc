// The new process dies after it has taken over, while the old one still drains.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <filesystem>
#include <future>

#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

namespace fs = std::filesystem;

// Keeps the process that it is connected to from ending.
class IdleVisitor {
 public:
  IdleVisitor(Site& site, const std::string& name) : client_(site.connect(name)), http_(client_) {
    EXPECT_EQ(http_.get(name).status, 200) << site.edge.log();
  }

 private:
  TlsClient client_;
  HttpConversation http_;
};

class UpgradeDeathTest : public ::testing::Test {
 protected:
  void expect_that_it_serves(const std::string& name) {
    for (int i = 0; i < 10; ++i)
      ASSERT_EQ(site_.visit(name).answer.status, 200) << site_.edge.log();
    EXPECT_EQ(site_.plain_get(name).status, 308);
  }
  Site site_;
};

TEST_F(UpgradeDeathTest, TheOldProcessTakesItsPlaceAgain) {
  ASSERT_TRUE(site_.edge.start());
  const IdleVisitor stays(site_, "a.test");
  const pid_t old = site_.edge.pid();
  site_.edge.settings.workers = 3;
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  ASSERT_EQ(site_.visit("b.test").answer.status, 200);
  site_.edge.kill_the_new_one();
  expect_that_it_serves("a.test");  // what came first has waited
  EXPECT_TRUE(site_.edge.logged("successor_ended", "signal 9"));
  EXPECT_TRUE(site_.edge.wait_for("taken_back"));
  EXPECT_EQ(read_text(site_.state_dir() / "lock"), std::to_string(old) + "\n");
  expect_that_it_serves("b.test");
  EXPECT_EQ(site_.pebble->issued(), 2u);
  expect_that_it_serves("c.test");  // it orders again
  EXPECT_EQ(site_.pebble->issued(), 3u);
  EXPECT_EQ(site_.edge.admin_json("GET", "/status").text_of("state"), "ready");
  EXPECT_EQ(site_.edge.reload(), "reloaded");

  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  expect_that_it_serves("d.test");
  site_.edge.kill_the_new_one();
  expect_that_it_serves("d.test");
  const auto end = site_.edge.terminate();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, 0);
  EXPECT_FALSE(fs::exists(site_.edge.settings.admin_socket));
}

TEST_F(UpgradeDeathTest, AHandshakeThatItWasAskedAboutIsServedNevertheless) {
  Site::Options slow;
  slow.sleeps = true;
  Site site(slow);
  site.edge.settings.ask = site.ask_url();
  site.edge.settings.ask_timeout = "20s";
  site.edge.settings.allow = {};
  std::promise<void> go_on;
  auto let = go_on.get_future().share();
  std::atomic<int> asks = 0;
  site.ask.replace_handler([&, let](const Request&) {
    ++asks;
    let.wait();
    return Response();
  });
  ASSERT_TRUE(site.edge.start());
  auto visit = std::async(std::launch::async, [&] { return site.visit("new.test"); });
  ASSERT_TRUE(eventually([&] { return asks == 1; }));
  ASSERT_TRUE(site.edge.upgrade()) << site.edge.log();
  go_on.set_value();
  ASSERT_TRUE(eventually([&] { return site.pebble->orders() == 1; }));  // the new one's
  site.edge.kill_the_new_one();
  const auto seen = visit.get();
  EXPECT_EQ(seen.answer.status, 200) << seen.handshake.error << site.edge.log();
  EXPECT_EQ(site.edge.count("taken_back"), 1u);
  EXPECT_EQ(site.pebble->issued(), 1u);
}

// The one in the middle has a successor of its own.
TEST_F(UpgradeDeathTest, OneThatWasReplacedItselfNeedsNobody) {
  ASSERT_TRUE(site_.edge.start());
  auto first = std::make_unique<IdleVisitor>(site_, "a.test");
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  const IdleVisitor second(site_, "a.test");
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  ASSERT_EQ(site_.edge.replaced().size(), 2u);
  site_.edge.replaced()[1]->kill_hard();
  expect_that_it_serves("a.test");
  expect_that_it_serves("b.test");
  first.reset();
  const auto end = site_.edge.replaced()[0]->wait(Millis(20'000));
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, 0);
  EXPECT_EQ(site_.edge.count("taken_back"), 0u);
  EXPECT_EQ(site_.edge.count("successor_ended"), 0u);
}

// Nobody is left to wait in a queue.
TEST_F(UpgradeDeathTest, OneThatEndsAsItWasToldEndsTheService) {
  ASSERT_TRUE(site_.edge.start());
  const IdleVisitor stays(site_, "a.test");
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  ASSERT_TRUE(connect_to(site_.https.number(), Millis(1000)));
  ASSERT_TRUE(site_.edge.terminate()) << site_.edge.log();
  EXPECT_TRUE(eventually([&] { return !connect_to(site_.https.number(), Millis(1000)); }));
  EXPECT_TRUE(site_.edge.replaced()[0]->running());
  EXPECT_EQ(site_.edge.count("taken_back"), 0u);
}

TEST_F(UpgradeDeathTest, TheAdminSocketMayBeElsewhereOrNowhere) {
  ASSERT_TRUE(site_.edge.start());
  const IdleVisitor stays(site_, "a.test");
  const fs::path before = site_.edge.settings.admin_socket, other = site_.folder / "other.sock";
  site_.edge.settings.admin_socket = other;
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  EXPECT_EQ(site_.edge.admin_json("GET", "/status").text_of("state"), "ready");
  EXPECT_TRUE(eventually([&] { return !fs::exists(before); }));
  site_.edge.kill_the_new_one();
  ASSERT_TRUE(site_.edge.wait_for("taken_back"));
  site_.edge.settings.admin_socket = before;
  EXPECT_EQ(site_.edge.admin_json("GET", "/status").text_of("state"), "ready");
}

}  // namespace
}  // namespace latchkey::test
