// A store that fails while certificates are to be renewed, and rows that have gone bad.
#include <gtest/gtest.h>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/small_disk.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

class StoreTroubleTest : public ::testing::Test {
 protected:
  // Neither a file system nor a namespace of mounts can be had everywhere.
  bool start_on_small_disk() {
    if (!enter_own_mounts()) return false;
    begin();
    disk_.emplace(site_->state_dir(), "24m");  // the store asks for 16 MiB of free space
    return disk_->mounted() && site_->edge.start();
  }
  void begin() {
    ca_.emplace();
    site_.emplace(without_pebble());
    site_->edge.settings.directory = ca_->directory();
  }
  void TearDown() override {
    if (disk_) disk_.reset();
  }
  Handshake visit(const std::string& name) {
    TlsOptions client = site_->tls(name);
    client.roots = ca_->roots();
    return TlsClient(client).handshake();
  }

  std::optional<ScriptedCa> ca_;
  std::optional<Site> site_;
  std::optional<SmallDisk> disk_;
};

TEST_F(StoreTroubleTest, OnAFullDiskWhatThereIsIsServedAndNothingIsRenewed) {
  if (!start_on_small_disk()) GTEST_SKIP() << "this kernel does not let us mount a file system";
  const Handshake before = visit("a.test");
  ASSERT_TRUE(before.verified) << before.error;
  ASSERT_TRUE(visit("b.test").verified);
  disk_->fill();

  for (int i = 0; i < 3; ++i) {
    const auto renewed = site_->edge.admin("POST", "/names/a.test:renew");
    EXPECT_NE(renewed.status, 200) << renewed.body;
    EXPECT_NE(renewed.status, 0);
  }
  // The first one may find it out only once the CA has its order.
  EXPECT_LE(ca_->orders("a.test"), 2u);
  for (const char* name : {"x.test", "y.test", "z.test"}) EXPECT_FALSE(visit(name).done) << name;
  EXPECT_LE(ca_->requests("/newOrder"), 3u);
  EXPECT_EQ(visit("a.test").serial, before.serial);
  EXPECT_TRUE(visit("b.test").verified);
  const auto evicted = site_->edge.admin("POST", "/names/b.test:evict");
  EXPECT_EQ(evicted.status, 200) << evicted.body;
  EXPECT_TRUE(visit("b.test").verified);  // a store that is full can be read
  EXPECT_EQ(site_->edge.admin("GET", "/names/a.test").status, 200);

  disk_->free();
  int number = 0;  // a new name each time: failures are remembered
  EXPECT_TRUE(
      eventually([&] { return visit("later" + std::to_string(++number) + ".test").verified; },
                 Millis(20'000)));
  EXPECT_TRUE(
      eventually([&] { return site_->edge.admin("POST", "/names/a.test:renew").status == 200; },
                 Millis(20'000)));
  EXPECT_NE(visit("a.test").serial, before.serial);
  EXPECT_TRUE(visit("a.test").verified);
  EXPECT_TRUE(site_->edge.terminate());
  EXPECT_TRUE(StoreFile(site_->database()).sound());
}

TEST_F(StoreTroubleTest, AKeyThatHasGoneBadIsPutAsideAndTheNameGetsAnotherOne) {
  begin();
  ASSERT_TRUE(site_->edge.start());
  const Handshake bad = visit("bad.test"), good = visit("good.test");
  ASSERT_TRUE(bad.verified && good.verified);
  for (const char* column : {"sealed_key", "leaf"}) {
    ASSERT_TRUE(site_->edge.terminate());
    const StoreFile store(site_->database());
    store.query("UPDATE certificate SET " + std::string(column) + " = zeroblob(length(" + column +
                ")) WHERE name = 'bad.test'");
    ASSERT_TRUE(site_->edge.start());
    const Handshake again = visit("bad.test");
    EXPECT_TRUE(again.verified) << column << ": " << again.error;
    EXPECT_NE(again.serial, bad.serial);
    EXPECT_EQ(visit("good.test").serial, good.serial);
    EXPECT_TRUE(site_->edge.logged("quarantine", "bad.test")) << site_->edge.log();
  }
  EXPECT_EQ(ca_->orders("bad.test"), 3u);
  EXPECT_EQ(ca_->orders("good.test"), 1u);
}

TEST_F(StoreTroubleTest, APendingOrderThatHasGoneBadIsForgotten) {
  begin();
  ASSERT_TRUE(site_->edge.start());
  ASSERT_TRUE(visit("a.test").verified);
  ASSERT_TRUE(site_->edge.terminate());
  const StoreFile store(site_->database());
  store.query("INSERT INTO order_state SELECT 'bad.test', 0, 'test', '" + ca_->directory() +
              "', '', '" + ca_->server().url("/order?n=1") + "', x'00', '', 0, 0");
  ASSERT_TRUE(site_->edge.start());
  EXPECT_TRUE(visit("bad.test").verified);
  EXPECT_EQ(ca_->orders("bad.test"), 1u);
  ASSERT_TRUE(site_->edge.terminate());
  EXPECT_EQ(store.query("SELECT count(*) FROM order_state"), std::vector<std::string>{"0"});
}

}  // namespace
}  // namespace latchkey::test
