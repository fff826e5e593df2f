#include "bench/load/names.h"

#include <gtest/gtest.h>

#include <fstream>
#include <set>

#include "tests/support/temp_folder.h"

namespace latchkey::bench {
namespace {

using Kind = NamePlan::Kind;
using Words = std::vector<std::string>;

Names made(const NamePlan& plan, unsigned lane = 0, unsigned lanes = 1) {
  auto names = Names::make(plan, lane, lanes);
  EXPECT_TRUE(names) << names.error().message;
  return *std::move(names);
}

Words take(Names& names, size_t count) {
  Words taken;
  for (size_t i = 0; i < count; ++i) taken.emplace_back(names.next());
  return taken;
}

NamePlan range(uint64_t count, uint64_t first = 0, bool at_random = false) {
  return {Kind::kRange, "shop%d.test", count, first, at_random};
}

TEST(NamesTest, OneNameComesAgainAndAgain) {
  Names names = made({Kind::kOne, "a.test"});
  EXPECT_EQ(take(names, 3), (Words{"a.test", "a.test", "a.test"}));
  EXPECT_EQ(names.size(), 1u);
}

TEST(NamesTest, WithoutAPlanThereIsNoName) {
  Names names = made({});
  EXPECT_EQ(take(names, 2), (Words{"", ""}));
}

TEST(NamesTest, ARangeGoesRound) {
  Names names = made(range(3, 7));
  EXPECT_EQ(take(names, 5),
            (Words{"shop7.test", "shop8.test", "shop9.test", "shop7.test", "shop8.test"}));
  EXPECT_EQ(names.index(), 1u);
  EXPECT_EQ(names.at(2), "shop9.test");
}

TEST(NamesTest, LanesShareARange) {
  std::set<std::string> all;
  for (unsigned lane = 0; lane < 3; ++lane) {
    Names names = made(range(30), lane, 3);
    for (const std::string& name : take(names, 10)) EXPECT_TRUE(all.insert(name).second) << name;
  }
  EXPECT_EQ(all.size(), 30u);
}

TEST(NamesTest, ARangeInRandomOrderReachesEachNameAndIsTheSameAgain) {
  Names names = made(range(50, 0, true)), again = made(range(50, 0, true));
  const Words taken = take(names, 1000);
  EXPECT_EQ(taken, take(again, 1000));
  EXPECT_EQ(std::set<std::string>(taken.begin(), taken.end()).size(), 50u);
  EXPECT_NE(Words(taken.begin(), taken.begin() + 50),
            Words(taken.begin() + 50, taken.begin() + 100));
}

TEST(NamesTest, RandomNamesNeverComeAgain) {
  Names names = made({Kind::kRandom, "%s.new.test"}), others = made({Kind::kRandom, "%s.new.test"});
  std::set<std::string> all;
  for (Names* each : {&names, &others}) {
    for (const std::string& name : take(*each, 5000)) {
      EXPECT_TRUE(name.ends_with(".new.test")) << name;
      EXPECT_EQ(name.find('.'), 12u) << name;
      EXPECT_TRUE(all.insert(name).second) << name;
    }
  }
  EXPECT_EQ(names.size(), 0u);
}

TEST(NamesTest, AFileHasANameALine) {
  const test::TempFolder folder;
  std::ofstream(folder / "names") << "# shops\na.test\n\n  b.test \r\nc.test # the third";
  Names names = made({Kind::kFile, folder / "names"});
  EXPECT_EQ(take(names, 4), (Words{"a.test", "b.test", "c.test", "a.test"}));
  EXPECT_EQ(names.size(), 3u);
}

TEST(NamesTest, WhatIsWrongIsSaid) {
  const test::TempFolder folder;
  std::ofstream(folder / "empty") << "# nothing\n";
  const auto error = [](const NamePlan& plan) { return Names::make(plan).error().message; };
  EXPECT_EQ(error({Kind::kRange, "shop.test"}),
            "--sni-range: expected a pattern with %d, such as shop%d.test, got \"shop.test\"");
  EXPECT_EQ(error({Kind::kRandom, "%d.test"}),
            "--sni-random: expected a pattern with %s, such as %s.new.test, got \"%d.test\"");
  EXPECT_EQ(error({Kind::kFile, folder / "empty"}),
            "--sni-file: expected a name a line, but " + (folder / "empty").string() + " has none");
  EXPECT_TRUE(error({Kind::kFile, folder / "none"}).starts_with("--sni-file: "));
}

}  // namespace
}  // namespace latchkey::bench
