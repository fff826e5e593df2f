#include "policy/allowlist.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdio>
#include <ctime>
#include <fstream>
#include <set>

#include "policy/name_set.h"
#include "tests/support/temp_folder.h"

namespace latchkey {
namespace {

using Match = Allowlist::Match;

class AllowlistTest : public testing::Test {
 protected:
  std::filesystem::path file(std::string_view name, std::string_view text) {
    test::write_text(folder / name, text);
    return folder / name;
  }
  void load(const std::vector<std::string>& entries,
            const std::vector<std::filesystem::path>& files = {}) {
    auto loaded = Allowlist::load(entries, files, bad);
    ASSERT_TRUE(loaded) << loaded.error().message;
    list = *loaded;
  }
  Match find(std::string_view name) const { return list->find(*ServerName::parse(name)); }

  test::TempFolder folder;
  std::vector<Allowlist::BadLine> bad;
  std::shared_ptr<const Allowlist> list;
};

TEST_F(AllowlistTest, AnEmptyListKnowsNobody) {
  load({});
  EXPECT_EQ(find("a.test"), Match::kNone);
  EXPECT_EQ(list->size(), 0u);
}

TEST_F(AllowlistTest, ExactNamesAreFoundAlone) {
  load({"shop.example.com"});
  EXPECT_EQ(find("shop.example.com"), Match::kExact);
  EXPECT_EQ(find("SHOP.example.COM."), Match::kExact);
  EXPECT_EQ(find("a.shop.example.com"), Match::kNone);
  EXPECT_EQ(find("example.com"), Match::kNone);
  EXPECT_EQ(find("xshop.example.com"), Match::kNone);
}

TEST_F(AllowlistTest, ASuffixHoldsAtAnyDepthBelowItButNotItself) {
  load({"*.example.net", "*.test"});
  EXPECT_EQ(find("a.example.net"), Match::kSuffix);
  EXPECT_EQ(find("a.b.c.example.net"), Match::kSuffix);
  EXPECT_EQ(find("example.net"), Match::kNone);
  EXPECT_EQ(find("aexample.net"), Match::kNone);
  EXPECT_EQ(find("a.test"), Match::kSuffix);
  EXPECT_EQ(find("test"), Match::kNone);
}

TEST_F(AllowlistTest, ExactGoesBeforeSuffix) {
  load({"*.example.net", "a.example.net"});
  EXPECT_EQ(find("a.example.net"), Match::kExact);
  EXPECT_EQ(list->size(), 2u);
}

TEST_F(AllowlistTest, ReadsFilesAsPeopleWriteThem) {
  load({}, {file("a.txt",
                 "\xef\xbb\xbf# customers\r\n"
                 "One.Example.COM.\r\n"
                 "\r\n"
                 "  two.example.com\t# since May\n"
                 "*.Three.example.com\n"
                 "one.example.com\n"
                 "   \n"
                 "#four.example.com\n"
                 "last.example.com")});
  EXPECT_TRUE(bad.empty()) << bad.front().where << bad.front().what;
  EXPECT_EQ(list->size(), 4u);
  EXPECT_EQ(find("one.example.com"), Match::kExact);
  EXPECT_EQ(find("two.example.com"), Match::kExact);
  EXPECT_EQ(find("x.three.example.com"), Match::kSuffix);
  EXPECT_EQ(find("four.example.com"), Match::kNone);
  EXPECT_EQ(find("last.example.com"), Match::kExact);
}

TEST_F(AllowlistTest, ReportsBadLinesAndKeepsTheOthers) {
  const auto path = file("a.txt",
                         "good.test\n-bad.test\n*\na.*.test\n.test\n10.0.0.1\nhttps://a.test\n"
                         "a b\nalso-good.test\n*.*.test\n*.\n");
  load({"*", "fine.test", ""}, {path});
  EXPECT_EQ(list->size(), 3u);
  ASSERT_EQ(bad.size(), 11u);
  EXPECT_EQ(bad[0].where, "on_demand.allow[0]");
  EXPECT_EQ(bad[1].where, "on_demand.allow[2]");
  EXPECT_EQ(bad[2].where, path.string() + ":2");
  EXPECT_NE(bad[2].what.find("\"-bad.test\""), std::string::npos) << bad[2].what;
  EXPECT_EQ(bad[10].where, path.string() + ":11");
}

TEST_F(AllowlistTest, TheReportOfABadFileIsBounded) {
  std::string text;
  for (int i = 0; i < 5'000; ++i)
    text +=
        "b\xc3\xbc"
        "cher.example\n";
  load({}, {file("a.txt", text)});
  ASSERT_EQ(bad.size(), 101u);
  EXPECT_EQ(bad.back().what, "4900 more bad lines");
}

TEST_F(AllowlistTest, AnyBytesAreSurvived) {
  std::string text;
  for (int i = 0; i < 70'000; ++i) text += static_cast<char>(i * 7919 >> 3);
  load({}, {file("noise", text + std::string(300'000, 'a'))});
}

TEST_F(AllowlistTest, AFileThatCannotBeReadIsAnError) {
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);  // opening it would wait for ever
  for (const auto& path : {folder / "missing", folder.path(), folder / "pipe"}) {
    const auto loaded = Allowlist::load({}, {path}, bad);
    ASSERT_FALSE(loaded);
    EXPECT_EQ(loaded.error().code, ErrorCode::kIo);
    EXPECT_NE(loaded.error().message.find(path.string()), std::string::npos);
    EXPECT_NE(loaded.error().message.find("on_demand.allow_files"), std::string::npos);
  }
}

TEST_F(AllowlistTest, CountsTheGoodLinesOfEachFile) {
  load({"x.test"}, {file("a.txt", "a.test\n# no\nb.test\n-bad\na.test\n"), file("b.txt", ""),
                    file("c.txt", "c.test")});
  EXPECT_EQ(list->lines_of_files(), (std::vector<size_t>{3, 0, 1}));
}

TEST_F(AllowlistTest, AMillionNamesAreSmall) {
  const auto path = folder / "million.txt";
  {
    std::ofstream out(path);
    for (int i = 0; i < 1'000'000; ++i) {
      if (i % 10 == 0) out << "*.";
      out << "customer-" << i << ".shops.example.com\n";
    }
  }
  const std::clock_t start = std::clock();
  load({}, {path});
  const double took = static_cast<double>(std::clock() - start) * 1000 / CLOCKS_PER_SEC;
  ASSERT_EQ(list->size(), 1'000'000u);
  const double each = static_cast<double>(list->bytes()) / 1e6;
  std::printf("a million names: loaded in %.0f ms of CPU, %.1f bytes each\n", took, each);
  EXPECT_LE(each, 64);
  EXPECT_EQ(find("customer-999999.shops.example.com"), Match::kExact);
  EXPECT_EQ(find("a.customer-10.shops.example.com"), Match::kSuffix);
  EXPECT_EQ(find("customer-10.shops.example.com"), Match::kNone);
}

TEST(NameSetTest, AgreesWithAStandardSet) {
  NameSet set;
  std::set<std::string> model;
  uint32_t state = 1;
  for (int i = 0; i < 20'000; ++i) {
    state = state * 1664525 + 1013904223;
    const std::string name(1 + (state >> 8) % 20, static_cast<char>('a' + (state >> 24) % 26));
    const std::string key = name + std::to_string((state >> 16) % 50);
    EXPECT_EQ(set.insert(key), model.insert(key).second);
    EXPECT_FALSE(set.contains(key + "x"));
  }
  EXPECT_EQ(set.size(), model.size());
  for (const std::string& name : model) EXPECT_TRUE(set.contains(name));
  EXPECT_FALSE(set.insert(""));
  EXPECT_TRUE(set.insert(std::string(255, 'x')));
  EXPECT_TRUE(set.contains(std::string(255, 'x')));
  EXPECT_FALSE(set.insert(std::string(256, 'x')));
}

}  // namespace
}  // namespace latchkey
