#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "acme/authority/lifetimes.h"

namespace latchkey::acme {
namespace {

using namespace std::chrono_literals;
using std::chrono::seconds;

Lifetimes lives(seconds leaf, seconds intermediate, double ratio,
                seconds root = std::chrono::days(3650)) {
  Lifetimes lifetimes;
  lifetimes.leaf = leaf;
  lifetimes.intermediate = intermediate;
  lifetimes.renewal_window_ratio = ratio;
  lifetimes.root = root;
  return lifetimes;
}

std::string complaint(const Lifetimes& lifetimes) {
  const auto good = check_lifetimes(lifetimes);
  return good ? "" : good.error().message;
}

TEST(AuthorityLifetimes, TheDefaultsAreGood) {
  EXPECT_EQ(complaint({}), "");
}

TEST(AuthorityLifetimes, ThePeersExampleIsRefusedWithItsNumbers) {
  EXPECT_EQ(complaint(lives(72h, 168h, 0.2)),
            "leaf_lifetime 3d + margin 5m = 72h5m must be less than renewal_window_ratio 0.2 x "
            "intermediate_lifetime 7d = 33h36m: the intermediate is replaced when 33h36m of its "
            "life are left, so what it signs just before then would outlive it; these would do: "
            "leaf_lifetime <= 2010m, or intermediate_lifetime >= 361h, or renewal_window_ratio >= "
            "0.43");
}

TEST(AuthorityLifetimes, TheEdgeIsWhereTheWindowEnds) {
  EXPECT_EQ(complaint(lives(seconds(120'600), 168h, 0.2)), "");  // 33.5 h
  EXPECT_NE(complaint(lives(seconds(120'960), 168h, 0.2)), "");  // 33.6 h
  EXPECT_NE(complaint(lives(seconds(121'320), 168h, 0.2)), "");  // 33.7 h
  EXPECT_EQ(complaint(lives(seconds(120'659), 168h, 0.2)), "");
  EXPECT_NE(complaint(lives(seconds(120'660), 168h, 0.2)), "") << "the margin is 5 minutes";
}

TEST(AuthorityLifetimes, TheRootMustOutliveItsIntermediates) {
  EXPECT_EQ(complaint(lives(12h, 168h, 0.2, 840h)),
            "intermediate_lifetime 7d + margin 5m = 168h5m must be less than renewal_window_ratio "
            "0.2 x root_lifetime 35d = 7d: the root is replaced when 7d of its life are left, so "
            "what it signs just before then would outlive it; these would do: "
            "intermediate_lifetime <= 167h, or root_lifetime >= 36d, or renewal_window_ratio >= "
            "0.201");
}

// Each remedy by itself mends what it is offered for.
TEST(AuthorityLifetimes, WhatIsSuggestedWouldDo) {
  EXPECT_EQ(complaint(lives(2010min, 168h, 0.2)), "");
  EXPECT_EQ(complaint(lives(72h, 361h, 0.2)), "");
  EXPECT_EQ(complaint(lives(72h, 168h, 0.43)), "");
  EXPECT_EQ(complaint(lives(12h, 167h, 0.2, 840h)), "");
  EXPECT_EQ(complaint(lives(12h, 168h, 0.2, std::chrono::days(36))), "");
  EXPECT_EQ(complaint(lives(12h, 168h, 0.201, 840h)), "");
}

TEST(AuthorityLifetimes, ShortOnesForTestsHaveAShortMargin) {
  EXPECT_EQ(complaint(lives(10s, 60s, 0.2, 320s)), "");
  EXPECT_NE(complaint(lives(11s, 60s, 0.2, 320s)), "");
}

TEST(AuthorityLifetimes, NumbersOutOfTheirRangeAreRefused) {
  for (const double ratio : {0.0, 1.0, -0.2, 2.0, std::nan("")}) {
    EXPECT_NE(complaint(lives(12h, 168h, ratio)).find("renewal_window_ratio: expected"),
              std::string::npos)
        << ratio;
  }
  EXPECT_NE(complaint(lives(0s, 168h, 0.2)).find("leaf_lifetime: expected"), std::string::npos);
  EXPECT_NE(complaint(lives(12h, 168h, 0.2, std::chrono::days(40'000))).find("root_lifetime"),
            std::string::npos);
}

}  // namespace
}  // namespace latchkey::acme
