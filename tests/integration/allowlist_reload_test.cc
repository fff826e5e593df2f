// Allowlists in files, replaced while names are served.
#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <thread>

#include "tests/support/ask_site.h"
#include "tests/support/eventually.h"
#include "tests/support/json_path.h"
#include "tests/support/scripted_ca.h"

namespace latchkey::test {
namespace {

size_t list_size() {
  return std::getenv("LATCHKEY_LONG") != nullptr ? 1'000'000 : 100'000;
}

// Many names, with some more in the middle.
std::string list(const std::string& more) {
  const size_t count = list_size();
  std::string text = "# our customers\n";
  for (size_t i = 0; i < count; ++i) {
    if (i == count / 2) text += more;
    text += "shop" + std::to_string(i) + ".customers.test\n";
  }
  return text;
}

class AllowlistReloadTest : public ::testing::Test {
 protected:
  AllowlistReloadTest() : site_(without_pebble()) {
    site_.edge.settings.directory = ca_.directory();
    site_.edge.settings.allow = {};
    site_.edge.settings.allow_files = {file_.string()};
    site_.edge.settings.log_level = "info";
  }
  // As an editor or a script does: the new file takes the old one's place.
  void replace(const std::string& text) {
    write_text(site_.folder / "next", text);
    std::filesystem::rename(site_.folder / "next", file_);
  }
  double entries() {
    return at(site_.edge.admin_json("GET", "/status"), "policy.allowlist_entries").number;
  }
  bool wait_for_entries(size_t count) {
    return eventually([&] { return entries() == static_cast<double>(count); }, Millis(30'000));
  }

  ScriptedCa ca_;
  Site site_;
  const std::filesystem::path file_ = site_.folder / "domains.txt";
};

TEST_F(AllowlistReloadTest, DropsNothingAndTakesEffectWithoutASignal) {
  replace(list("always.test\nold.test\n"));
  ASSERT_TRUE(site_.edge.start());
  ASSERT_TRUE(wait_for_entries(list_size() + 2));
  EXPECT_TRUE(site_.connect("always.test").handshake().done);
  EXPECT_EQ(site_.connect("new.test").handshake().alert, alert::kUnrecognizedName);

  std::atomic<bool> stop = false;
  std::atomic<int> visits = 0, failures = 0;
  std::atomic<int64_t> slowest = 0;
  std::thread visitor([&] {
    for (int i = 0; !stop; ++i) {
      // A name in memory, and names that are new: both go on.
      const std::string name =
          i % 4 == 0 ? "shop" + std::to_string(i) + ".customers.test" : "always.test";
      const auto visit = site_.visit(name);
      if (!visit.handshake.done || visit.answer.status != 200) ++failures;
      if (name == "always.test") slowest = std::max<int64_t>(slowest, visit.handshake.took.count());
      ++visits;
    }
  });
  for (int round = 0; round < 3; ++round) {
    const bool last = round % 2 == 0;
    replace(list(last ? "always.test\nnew.test\nnewer.test\n" : "always.test\nold.test\n"));
    EXPECT_TRUE(wait_for_entries(list_size() + (last ? 3 : 2))) << round;
  }
  stop = true;
  visitor.join();
  EXPECT_EQ(failures, 0);
  EXPECT_GT(visits, 20);
  std::printf("%d visits; the slowest of a cached name took %d ms\n", visits.load(),
              static_cast<int>(slowest.load()));
  EXPECT_TRUE(site_.connect("new.test").handshake().done);
  EXPECT_EQ(site_.connect("old.test").handshake().alert, alert::kUnrecognizedName);
}

TEST_F(AllowlistReloadTest, ABadLineIsNamedAndLosesNoOthers) {
  replace("good.test\n*.fine.test\nnot a name\n\n# nothing\nalso.good.test\n");
  ASSERT_TRUE(site_.edge.start());
  EXPECT_TRUE(site_.edge.logged("domains.txt:3"));
  for (const char* name : {"good.test", "also.good.test", "a.b.fine.test"}) {
    EXPECT_TRUE(site_.connect(name).handshake().done) << name;
  }
  EXPECT_EQ(site_.connect("fine.test").handshake().alert, alert::kUnrecognizedName);
  // And at a reload.
  replace("good.test\n-bad-.test\nlater.test\n");
  EXPECT_TRUE(eventually([&] { return site_.edge.logged("domains.txt:2"); }));
  EXPECT_TRUE(site_.connect("later.test").handshake().done);
}

TEST_F(AllowlistReloadTest, AFileThatIsGoneLeavesTheOldListInForce) {
  replace("good.test\nother.test\n");
  ASSERT_TRUE(site_.edge.start());
  std::filesystem::remove(file_);
  const auto answer = site_.edge.admin("POST", "/config:reload");
  EXPECT_EQ(answer.status, 400) << answer.body;
  EXPECT_NE(answer.body.find("domains.txt"), std::string::npos) << answer.body;
  EXPECT_TRUE(site_.connect("good.test").handshake().done);
  replace("good.test\nother.test\nthird.test\n");
  EXPECT_TRUE(eventually([&] { return site_.connect("third.test").handshake().done; }));
}

}  // namespace
}  // namespace latchkey::test
