#include "edge/allowlist_loader.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <algorithm>

#include "tests/support/fd.h"
#include "tests/support/temp_folder.h"
#include "tests/support/test_loop.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;
using List = std::shared_ptr<const Allowlist>;

std::string lines(int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += "name-" + std::to_string(i) + ".test\n";
  return out;
}

class AllowlistLoaderTest : public testing::Test {
 protected:
  AllowlistLoaderTest() { config_.folder = folder_.path(); }

  // A file of the configuration.
  void write(const std::string& name, std::string_view text) {
    test::write_text(folder_ / name, text);
    auto& files = config_.on_demand.allow_files;
    if (std::find(files.begin(), files.end(), name) == files.end()) files.push_back(name);
  }
  AllowlistLoader::Done put() {
    return [this](Result<List> list) { outcomes_.push_back(std::move(list)); };
  }
  Result<List> load() {
    outcomes_.clear();
    loader_->load(config_, put());
    EXPECT_TRUE(outcomes_.empty()) << "done was called at once";
    loop_.run_until([this] { return !outcomes_.empty(); });
    return outcomes_.back();
  }
  bool has(const List& list, std::string_view name) {
    return list->find(*ServerName::parse(name)) != Allowlist::Match::kNone;
  }
  std::string logged() const {
    return test::read_text("/proc/self/fd/" + std::to_string(log_file_.get()));
  }
  size_t times_logged(const std::string& event) const {
    size_t count = 0;
    const std::string text = logged();
    for (size_t at = 0; (at = text.find("\"" + event + "\"", at)) != text.npos; ++at) ++count;
    return count;
  }

  test::TempFolder folder_;
  test::TestLoop loop_;
  test::Fd log_file_{memfd_create("log", MFD_CLOEXEC)};
  Log log_{log_file_.get(), Log::Format::kJson, LogLevel::kDebug};
  Config config_;
  std::vector<Result<List>> outcomes_;
  std::unique_ptr<AllowlistLoader> loader_ = std::make_unique<AllowlistLoader>(loop_.loop(), log_);
};

TEST_F(AllowlistLoaderTest, LoadsEntriesAndFiles) {
  config_.on_demand.allow = {"shop.test"};
  write("a.txt", "a.test\n*.b.test\n");
  const auto list = load();
  ASSERT_TRUE(list) << list.error().message;
  EXPECT_TRUE(has(*list, "shop.test"));
  EXPECT_TRUE(has(*list, "a.test"));
  EXPECT_TRUE(has(*list, "x.b.test"));
  EXPECT_FALSE(has(*list, "c.test"));
}

TEST_F(AllowlistLoaderTest, ManagedNamesAndAddressesAreInIt) {
  config_.on_demand.allow = {"shop.test"};
  config_.managed = {"M.test", "203.0.113.7", "2001:db8:0::7"};
  for (const auto& list : {load(), load_allowlist(config_, log_)}) {
    ASSERT_TRUE(list) << list.error().message;
    EXPECT_EQ((*list)->size(), 4u);
    EXPECT_TRUE(has(*list, "m.test"));
    EXPECT_EQ((*list)->find(*ServerName::parse_ip("203.0.113.7")), Allowlist::Match::kExact);
    EXPECT_EQ((*list)->find(*ServerName::parse_ip("2001:db8::7")), Allowlist::Match::kExact);
    EXPECT_EQ((*list)->find(*ServerName::parse_ip("203.0.113.8")), Allowlist::Match::kNone);
  }
  config_.on_demand.allow = {"203.0.113.9"};
  const auto list = load();
  ASSERT_TRUE(list);
  EXPECT_EQ((*list)->find(*ServerName::parse_ip("203.0.113.9")), Allowlist::Match::kNone)
      << "only managed addresses";
}

TEST_F(AllowlistLoaderTest, BadLinesAreLoggedWithTheirPlaceAndLeftOut) {
  write("a.txt", "a.test\n-bad\nb.test\n");
  const auto list = load();
  ASSERT_TRUE(list);
  EXPECT_EQ((*list)->size(), 2u);
  EXPECT_EQ(times_logged("allowlist_bad_line"), 1u);
  EXPECT_NE(logged().find((folder_ / "a.txt").string() + ":2"), std::string::npos) << logged();
}

TEST_F(AllowlistLoaderTest, AFileThatIsGoneIsAnErrorThatNamesFileAndRemedy) {
  write("a.txt", "a.test\n");
  write("b.txt", "b.test\n");
  ASSERT_TRUE(load());
  fs::remove(folder_ / "b.txt");
  const auto list = load();
  ASSERT_FALSE(list);
  EXPECT_NE(list.error().message.find((folder_ / "b.txt").string()), std::string::npos);
  EXPECT_NE(list.error().message.find("on_demand.allow_files"), std::string::npos);
  write("b.txt", "b.test\n");
  EXPECT_TRUE(load());
}

TEST_F(AllowlistLoaderTest, RequestsDuringALoadAreServedTogetherByOneMoreOfTheNewestConfiguration) {
  write("a.txt", lines(20'000));
  std::vector<std::pair<char, Result<List>>> told;
  const auto put = [&](char who) {
    return [&told, who](Result<List> list) { told.emplace_back(who, std::move(list)); };
  };
  loader_->load(config_, put('a'));
  config_.on_demand.allow = {"second.test"};
  loader_->load(config_, put('b'));
  config_.on_demand.allow = {"third.test"};
  loader_->load(config_, put('c'));
  loop_.run_until([&] { return told.size() == 3; });
  EXPECT_EQ(told[0].first, 'a');
  EXPECT_EQ(told[1].first, 'b');
  EXPECT_EQ(told[2].first, 'c');
  const List first = *told[0].second, second = *told[1].second, third = *told[2].second;
  EXPECT_FALSE(has(first, "third.test"));
  EXPECT_EQ(second, third);  // one load
  EXPECT_NE(first, second);
  EXPECT_TRUE(has(third, "third.test"));
  EXPECT_FALSE(has(third, "second.test"));
}

TEST_F(AllowlistLoaderTest, ItsCallbackMayLoadAgain) {
  write("a.txt", "a.test\n");
  loader_->load(config_, [this](Result<List>) {
    write("a.txt", "b.test\n");
    loader_->load(config_, put());
  });
  loop_.run_until([this] { return !outcomes_.empty(); });
  EXPECT_TRUE(has(*outcomes_.front(), "b.test"));
}

TEST_F(AllowlistLoaderTest, ItsCallbackMayEndIt) {
  write("a.txt", "a.test\n");
  bool called = false;
  loader_->load(config_, [&](Result<List>) {
    called = true;
    loader_.reset();
  });
  loader_->load(config_, put());
  loop_.run_until([&] { return called; });
  for (int i = 0; i < 5; ++i) loop_.turn();
  EXPECT_TRUE(outcomes_.empty());
}

TEST_F(AllowlistLoaderTest, NobodyIsToldAfterItsEnd) {
  write("a.txt", lines(20'000));
  loader_->load(config_, put());
  loader_.reset();
  for (int i = 0; i < 5; ++i) loop_.turn();
  EXPECT_TRUE(outcomes_.empty());
}

TEST_F(AllowlistLoaderTest, AFileThatLostMostOfItsLinesIsTakenWithAWarning) {
  write("a.txt", lines(300));
  write("b.txt", lines(5'000));
  ASSERT_TRUE(load());
  EXPECT_EQ(times_logged("allowlist_shrunk"), 0u);
  write("a.txt", "");
  const auto list = load();
  ASSERT_TRUE(list);
  EXPECT_EQ(times_logged("allowlist_shrunk"), 1u);
  EXPECT_NE(logged().find("\"lines_before\":300"), std::string::npos) << logged();
  EXPECT_TRUE(load());
  EXPECT_EQ(times_logged("allowlist_shrunk"), 1u);  // the empty file is what it was
}

TEST_F(AllowlistLoaderTest, SmallOrGradualLossesAreNothingUnusual) {
  write("a.txt", lines(300));
  write("b.txt", lines(100));
  ASSERT_TRUE(load());
  write("a.txt", lines(150));
  write("b.txt", "");
  ASSERT_TRUE(load());
  EXPECT_EQ(times_logged("allowlist_shrunk"), 0u);
}

TEST_F(AllowlistLoaderTest, TheFirstLoadIsComparedWithTheListInForce) {
  write("a.txt", lines(300));
  const auto start = load_allowlist(config_, log_);
  ASSERT_TRUE(start) << start.error().message;
  loader_->compare_with(config_, **start);
  write("a.txt", "one.test\n");
  ASSERT_TRUE(load());
  EXPECT_EQ(times_logged("allowlist_shrunk"), 1u);
}

TEST_F(AllowlistLoaderTest, AFileThatIsNoLongerNamedIsNoLoss) {
  write("a.txt", lines(300));
  write("b.txt", lines(10));
  ASSERT_TRUE(load());
  config_.on_demand.allow_files = {"b.txt"};
  ASSERT_TRUE(load());
  EXPECT_EQ(times_logged("allowlist_shrunk"), 0u);
}

}  // namespace
}  // namespace latchkey::edge
