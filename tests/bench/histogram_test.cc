#include "bench/report/histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>

namespace latchkey::bench {
namespace {

TEST(HistogramTest, AnEmptyOneHasNothingButZeroes) {
  const Histogram empty;
  EXPECT_TRUE(empty.empty());
  EXPECT_EQ(empty.min(), 0u);
  EXPECT_EQ(empty.max(), 0u);
  EXPECT_EQ(empty.mean(), 0);
  EXPECT_EQ(empty.quantile(0.5), 0u);
  EXPECT_TRUE(empty.buckets().empty());
}

TEST(HistogramTest, OneValueIsEveryQuantile) {
  Histogram one;
  one.record(123'457);
  for (const double q : {0.0, 0.5, 0.99, 1.0}) EXPECT_EQ(one.quantile(q), 123'457u);
  EXPECT_EQ(one.mean(), 123'457);
}

TEST(HistogramTest, SmallValuesAreExact) {
  Histogram histogram;
  for (uint64_t value = 1; value <= 1000; ++value) histogram.record(value);
  EXPECT_EQ(histogram.quantile(0), 1u);
  EXPECT_EQ(histogram.quantile(0.5), 500u);
  EXPECT_EQ(histogram.quantile(0.99), 990u);
  EXPECT_EQ(histogram.quantile(0.999), 999u);
  EXPECT_EQ(histogram.quantile(1), 1000u);
  EXPECT_DOUBLE_EQ(histogram.mean(), 500.5);
}

TEST(HistogramTest, QuantilesOfAnySizeAreExactToAThousandth) {
  std::mt19937_64 random(7);
  std::lognormal_distribution<double> sizes(9, 3);
  Histogram histogram;
  std::vector<uint64_t> values;
  for (int i = 0; i < 20'000; ++i) {
    const double size = std::clamp(sizes(random), 1.0, 3e9);
    values.push_back(static_cast<uint64_t>(size));
    histogram.record(values.back());
  }
  std::sort(values.begin(), values.end());
  for (const double q : {0.001, 0.1, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(values.size())));
    const auto exact = static_cast<double>(values[rank - 1]);
    const auto found = static_cast<double>(histogram.quantile(q));
    EXPECT_GE(found, exact) << q;
    EXPECT_LE(found, exact * 1.001) << q;
  }
}

TEST(HistogramTest, BucketsFollowOneAnotherWithoutAGap) {
  // Of two neighbours, the second is in the same bucket or in one that ends later.
  uint64_t before = 0;
  for (uint64_t value = 1; value < 3'600'000'000; value += 1 + value / 1500) {
    Histogram one;
    one.record(value);
    ASSERT_EQ(one.buckets().size(), 1u);
    const uint64_t upper = one.buckets()[0].first;
    ASSERT_GE(upper, value);
    ASSERT_LE(upper - value, value / 1000);
    ASSERT_GE(upper, before);
    before = upper;
  }
}

TEST(HistogramTest, WhatIsTooLargeCountsAsTheLargestAndZeroAsOne) {
  Histogram histogram;
  histogram.record(0);
  histogram.record(uint64_t{1} << 60);
  EXPECT_EQ(histogram.min(), 1u);
  EXPECT_EQ(histogram.max(), 3'600'000'000u);
  EXPECT_EQ(histogram.quantile(1), 3'600'000'000u);
}

TEST(HistogramTest, MergedIsAsIfOneHadSeenAll) {
  Histogram all, low, high;
  for (uint64_t value = 1; value < 100'000; value += 7) {
    all.record(value, 3);
    (value < 5000 ? low : high).record(value, 3);
  }
  high.merge(low);
  high.merge(Histogram());
  EXPECT_EQ(high.buckets(), all.buckets());
  EXPECT_EQ(high.count(), all.count());
  EXPECT_EQ(high.min(), all.min());
  EXPECT_EQ(high.max(), all.max());
  EXPECT_DOUBLE_EQ(high.mean(), all.mean());
}

TEST(HistogramTest, ComesBackFromItsBuckets) {
  Histogram before;
  for (const uint64_t value : {1, 2047, 2048, 4097, 999'999}) before.record(value, 2);
  before.record(3'600'000'000);
  const Histogram after =
      Histogram::from_buckets(before.buckets(), before.min(), before.max(),
                              before.mean() * static_cast<double>(before.count()));
  EXPECT_EQ(after.buckets(), before.buckets());
  EXPECT_EQ(after.count(), before.count());
  EXPECT_DOUBLE_EQ(after.mean(), before.mean());
  for (const double q : {0.0, 0.3, 0.6, 0.9, 1.0}) EXPECT_EQ(after.quantile(q), before.quantile(q));
}

}  // namespace
}  // namespace latchkey::bench
