// USR2: a new process takes the place of the old one, and nobody notices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <future>

#include "tests/support/eventually.h"
#include "tests/support/site.h"

namespace latchkey::test {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

class UpgradeTest : public ::testing::Test {
 protected:
  // A copy of the program, so that another one can lie in its place.
  void use_a_copy() {
    binary_ = site_.folder / "latchkey";
    fs::create_hard_link(LATCHKEY_BINARY, binary_);
    site_.edge.settings.binary = binary_;
  }
  // A program that becomes the right one once let_it_go() is called.
  void put_a_slow_one_in_its_place() {
    put_in_its_place("#!/bin/sh\nwhile [ ! -e " + (site_.folder / "go").string() +
                     " ]; do sleep 0.05; done\nexec " + LATCHKEY_BINARY + " \"$@\"\n");
  }
  void let_it_go() { write_text(site_.folder / "go", ""); }
  void put_in_its_place(const std::string& script) {
    fs::remove(binary_);
    write_text(binary_, script);
    fs::permissions(binary_, fs::perms::owner_all);
  }

  Site site_;
  fs::path binary_;
};

TEST_F(UpgradeTest, TheNewProcessServesWhatTheOldOneHas) {
  ASSERT_TRUE(site_.edge.start());
  ASSERT_EQ(site_.visit("a.test").answer.status, 200);
  const pid_t before = site_.edge.pid();
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  EXPECT_NE(site_.edge.pid(), before);
  EXPECT_EQ(site_.visit("a.test").answer.status, 200);
  EXPECT_EQ(site_.visit("b.test").answer.status, 200);  // it orders, too
  EXPECT_EQ(site_.plain_get("a.test").status, 308);
  const auto exit = site_.edge.replaced().front()->wait(Millis(20'000));
  ASSERT_TRUE(exit) << "the old process goes on";
  EXPECT_EQ(exit->code, 0);
  const auto status = site_.edge.admin_json("GET", "/status");
  EXPECT_EQ(status.text_of("state"), "ready");
  EXPECT_EQ(site_.pebble->issued(), 2u);
  const auto end = site_.edge.terminate();
  ASSERT_TRUE(end);
  EXPECT_EQ(end->code, 0);
  EXPECT_FALSE(fs::exists(site_.edge.settings.admin_socket));
}

TEST_F(UpgradeTest, AConnectionThatIsBusyIsLeftToTheOldProcess) {
  ASSERT_TRUE(site_.edge.start());
  ASSERT_EQ(site_.visit("a.test").answer.status, 200);
  std::promise<void> arrived, go_on;
  auto let = go_on.get_future().share();
  site_.upstream.replace_handler([&, let](const Request&) {
    arrived.set_value();
    let.wait();
    Response response;
    response.body = "finished";
    return response;
  });
  auto slow = std::async(std::launch::async, [&] { return site_.visit("a.test"); });
  arrived.get_future().wait();
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  EXPECT_TRUE(site_.edge.replaced().front()->running());
  go_on.set_value();
  EXPECT_EQ(slow.get().answer.body, "finished");
  EXPECT_TRUE(site_.edge.replaced().front()->wait(Millis(20'000)));
}

// It is not told to go away before it has heard so in an answer.
TEST_F(UpgradeTest, AnIdleConnectionMaySendOneMoreRequest) {
  ASSERT_TRUE(site_.edge.start());
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  ASSERT_EQ(http.get("a.test").status, 200);
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  const HttpAnswer last = http.get("a.test");
  EXPECT_EQ(last.status, 200);
  EXPECT_TRUE(site_.edge.replaced().front()->wait(Millis(20'000)));
}

TEST_F(UpgradeTest, AHandshakeThatIsParkedIsServedByTheOldProcess) {
  site_.edge.settings.ask = site_.ask_url();
  site_.edge.settings.ask_timeout = "20s";
  site_.edge.settings.allow = {};
  std::promise<void> asked, go_on;
  auto let = go_on.get_future().share();
  std::atomic<int> asks = 0;
  site_.ask.replace_handler([&, let](const Request&) {
    if (asks++ == 0) asked.set_value();
    let.wait();
    return Response();
  });
  ASSERT_TRUE(site_.edge.start());
  auto visit = std::async(std::launch::async, [&] { return site_.visit("new.test"); });
  asked.get_future().wait();
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  go_on.set_value();
  const auto seen = visit.get();
  EXPECT_EQ(seen.answer.status, 200) << seen.handshake.error << site_.edge.log();
  EXPECT_EQ(site_.pebble->issued(), 1u);
}

TEST_F(UpgradeTest, AnOrderThatIsUnderWayIsLetCome) {
  Site::Options slow;
  slow.sleeps = true;
  Site site(slow);
  ASSERT_TRUE(site.edge.start());
  auto visit = std::async(std::launch::async, [&] { return site.visit("new.test"); });
  ASSERT_TRUE(eventually([&] { return site.pebble->orders() == 1; }));
  ASSERT_TRUE(site.edge.upgrade(Millis(60'000))) << site.edge.log();
  const auto seen = visit.get();
  EXPECT_EQ(seen.answer.status, 200) << seen.handshake.error << site.edge.log();
  EXPECT_EQ(site.pebble->issued(), 1u);
}

TEST_F(UpgradeTest, MoreWorkersAndFewerOnes) {
  ASSERT_TRUE(site_.edge.start());
  for (const int workers : {4, 1, 3}) {
    site_.edge.settings.workers = workers;
    ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
    for (int i = 0; i < 20; ++i) ASSERT_EQ(site_.visit("a.test").answer.status, 200);
    EXPECT_EQ(site_.edge.admin_json("GET", "/status").find("workers")->number, workers);
  }
}

TEST_F(UpgradeTest, AnAddressThatHasChanged) {
  ASSERT_TRUE(site_.edge.start());
  const ReservedPort other;
  const uint16_t before = site_.edge.settings.https_port;
  site_.edge.settings.https_port = other.number();
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  TlsOptions options = site_.tls("a.test");
  options.port = other.number();
  TlsClient client(options);
  EXPECT_EQ(HttpConversation(client).get("a.test").status, 200);
  EXPECT_TRUE(eventually([&] { return !connect_to(before, Millis(1000)); }));
}

TEST_F(UpgradeTest, ABadConfigurationLeavesTheOldProcess) {
  ASSERT_TRUE(site_.edge.start());
  TlsClient client = site_.connect("a.test");
  HttpConversation http(client);
  ASSERT_EQ(http.get("a.test").status, 200);
  site_.edge.settings.upgrade_timeout = "no time at all";
  EXPECT_FALSE(site_.edge.upgrade());
  EXPECT_TRUE(site_.edge.logged("upgrade_failed", "code 78")) << site_.edge.log();
  EXPECT_EQ(http.get("a.test").status, 200);
  EXPECT_EQ(site_.visit("b.test").answer.status, 200);
  site_.edge.settings.upgrade_timeout = "";
  EXPECT_TRUE(site_.edge.upgrade()) << site_.edge.log();  // and the next one works
}

TEST_F(UpgradeTest, AProgramThatEndsOrIsNoneLeavesTheOldProcess) {
  use_a_copy();
  ASSERT_TRUE(site_.edge.start());
  put_in_its_place("#!/bin/sh\nexit 3\n");
  EXPECT_FALSE(site_.edge.upgrade());
  EXPECT_TRUE(site_.edge.logged("upgrade_failed", "code 3")) << site_.edge.log();
  put_in_its_place("no program\n");
  EXPECT_FALSE(site_.edge.upgrade());
  fs::remove(binary_);
  EXPECT_FALSE(site_.edge.upgrade());
  EXPECT_EQ(site_.visit("a.test").answer.status, 200);
  fs::create_hard_link(LATCHKEY_BINARY, binary_);
  EXPECT_TRUE(site_.edge.upgrade()) << site_.edge.log();
}

TEST_F(UpgradeTest, AProgramThatHangsIsKilled) {
  use_a_copy();
  site_.edge.settings.upgrade_timeout = "500ms";
  ASSERT_TRUE(site_.edge.start());
  put_in_its_place("#!/bin/sh\nexec sleep 1000\n");
  EXPECT_FALSE(site_.edge.upgrade());
  EXPECT_TRUE(site_.edge.logged("upgrade_failed", "upgrade_timeout")) << site_.edge.log();
  EXPECT_EQ(site_.visit("a.test").answer.status, 200);
}

// At each step: the old one holds its orders, then listens no more.
TEST_F(UpgradeTest, ANewProcessThatDiesOnItsWayLeavesTheOldOne) {
  for (const char* point : {"upgrade.go", "upgrade.accept"}) {
    Site site;
    site.edge.settings.env = {{"LATCHKEY_FAULT_POINT", point}};
    ASSERT_TRUE(site.edge.start());
    EXPECT_FALSE(site.edge.upgrade()) << point;
    EXPECT_TRUE(site.edge.logged("upgrade_failed", "signal 9")) << site.edge.log();
    EXPECT_EQ(site.visit("a.test").answer.status, 200) << point;
    EXPECT_EQ(site.plain_get("a.test").status, 308) << point;
    EXPECT_EQ(site.edge.admin_json("GET", "/status").text_of("state"), "ready");
    EXPECT_EQ(read_text(site.state_dir() / "lock"), std::to_string(site.edge.pid()) + "\n");
  }
}

// Its own sockets take none before it is certain.
TEST_F(UpgradeTest, ANewProcessThatDiesTakesNoConnectionWithIt) {
  site_.edge.settings.workers = 1;
  site_.edge.settings.env = {{"LATCHKEY_FAULT_POINT", "upgrade.accept"}};
  ASSERT_TRUE(site_.edge.start());
  ASSERT_EQ(site_.visit("a.test").answer.status, 200);
  site_.edge.settings.workers = 8;
  std::atomic<bool> over = false;
  auto visits = std::async(std::launch::async, [&] {
    int lost = 0;
    while (!over) lost += site_.visit("a.test").answer.status == 200 ? 0 : 1;
    return lost;
  });
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(site_.edge.upgrade());
  over = true;
  EXPECT_EQ(visits.get(), 0);
}

TEST_F(UpgradeTest, AReloadMeanwhileIsForBoth) {
  use_a_copy();
  ASSERT_TRUE(site_.edge.start());
  put_a_slow_one_in_its_place();
  site_.edge.begin_upgrade();
  ASSERT_TRUE(site_.edge.wait_for("upgrade_begins"));
  EXPECT_EQ(site_.edge.reload(), "reloaded");
  let_it_go();
  ASSERT_TRUE(site_.edge.finish_upgrade()) << site_.edge.log();
  EXPECT_TRUE(site_.edge.wait_for("reloaded", 2)) << site_.edge.log();
}

TEST_F(UpgradeTest, ASecondOneMeanwhileIsRefused) {
  use_a_copy();
  site_.edge.settings.upgrade_timeout = "1s";
  ASSERT_TRUE(site_.edge.start());
  put_in_its_place("#!/bin/sh\nexec sleep 1000\n");
  site_.edge.signal(SIGUSR2);
  ASSERT_TRUE(site_.edge.wait_for("upgrade_begins"));
  site_.edge.signal(SIGUSR2);
  EXPECT_TRUE(site_.edge.wait_for("upgrade_refused"));
  EXPECT_TRUE(site_.edge.wait_for("upgrade_failed"));
}

TEST_F(UpgradeTest, TermMeanwhileEndsBoth) {
  use_a_copy();
  ASSERT_TRUE(site_.edge.start());
  put_in_its_place("#!/bin/sh\nexec sleep 1000\n");
  site_.edge.signal(SIGUSR2);
  ASSERT_TRUE(site_.edge.wait_for("upgrade_begins"));
  const auto exit = site_.edge.terminate();
  ASSERT_TRUE(exit);
  EXPECT_EQ(exit->code, 0);
}

TEST_F(UpgradeTest, TheGraceBoundsTheOldProcess) {
  site_.edge.settings.upgrade_grace = "500ms";
  site_.upstream.replace_handler([](const Request&) {
    Response response;
    response.hang = true;
    return response;
  });
  ASSERT_TRUE(site_.edge.start());
  TlsClient visitor(site_.tls("a.test"));
  visitor.write("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  ASSERT_TRUE(eventually([&] { return site_.upstream.requests() == 1; }));
  ASSERT_TRUE(site_.edge.upgrade()) << site_.edge.log();
  EXPECT_TRUE(site_.edge.replaced().front()->wait(Millis(10'000)));
  EXPECT_TRUE(site_.edge.logged("drain_timeout", "upgrade_grace"));
}

}  // namespace
}  // namespace latchkey::test
