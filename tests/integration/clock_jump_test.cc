// The system's clock is set wrong, a year ahead or back, while we run, and set right again.
#include <gtest/gtest.h>

#include <filesystem>
#include <string>
#include <system_error>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/scripted_ca.h"
#include "tests/support/store_file.h"

namespace latchkey::test {
namespace {

// Debian's faketime, to be loaded into the edge: it shifts the calendar and leaves steady time
// alone. "" where it is not installed.
std::string shifting_library() {
  for (const auto& architecture : std::filesystem::directory_iterator("/usr/lib")) {
    const auto library = architecture.path() / "faketime/libfaketimeMT.so.1";
    std::error_code ignored;
    if (std::filesystem::exists(library, ignored)) return library.string();
  }
  return "";
}

class ClockJumpTest : public ::testing::TestWithParam<const char*> {
 protected:
  void SetUp() override {
    if (kSanitized) GTEST_SKIP() << "a sanitizer is to be the first library of a process";
    const std::string library = shifting_library();
    ASSERT_FALSE(library.empty()) << "Debian's package faketime is missing";
    site_.edge.settings.directory = ca_.directory();
    site_.edge.settings.env = {{"LD_PRELOAD", library},
                               {"FAKETIME_TIMESTAMP_FILE", clock_file().string()},
                               {"FAKETIME_NO_CACHE", "1"},
                               {"FAKETIME_DONT_FAKE_MONOTONIC", "1"}};
    set_clock("+0");
    ASSERT_TRUE(site_.edge.start());
  }
  std::filesystem::path clock_file() { return site_.folder / "clock"; }
  void set_clock(const std::string& shift) {
    write_text(site_.folder / "clock.new", shift + "\n");
    std::filesystem::rename(site_.folder / "clock.new", clock_file());
  }
  Handshake visit(const std::string& name) {
    TlsOptions client = site_.tls(name);
    client.roots = ca_.roots();
    return TlsClient(client).handshake();
  }

  ScriptedCa ca_;
  Site site_{without_pebble()};
};

TEST_P(ClockJumpTest, WhatIsServedIsServedOnAndItHealsByItself) {
  const Handshake before = visit("a.test");
  ASSERT_TRUE(before.verified) << before.error;
  const std::string shift = GetParam();
  set_clock(shift);
  for (int i = 0; i < 20; ++i) {
    const Handshake meanwhile = visit("a.test");
    EXPECT_TRUE(meanwhile.verified) << meanwhile.error;
    EXPECT_FALSE(visit("b.test").done);  // for which the CA's certificate is of another year
  }
  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(visit("a.test").verified) << site_.edge.log();
  const size_t orders = ca_.requests("/newOrder");
  EXPECT_LE(orders, 6u) << site_.edge.log();

  set_clock("+0");
  EXPECT_TRUE(visit("a.test").verified);
  EXPECT_TRUE(eventually([&] { return visit("c.test").verified; }, Millis(20'000)))
      << site_.edge.log();
  ASSERT_TRUE(site_.edge.terminate());
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(visit("a.test").verified);
  EXPECT_TRUE(visit("d.test").verified);
  ASSERT_TRUE(site_.edge.terminate());
  EXPECT_TRUE(StoreFile(site_.database()).sound());
}

INSTANTIATE_TEST_SUITE_P(Of, ClockJumpTest, ::testing::Values("+365d", "-365d"));

}  // namespace
}  // namespace latchkey::test
