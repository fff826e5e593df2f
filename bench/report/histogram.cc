#include "bench/report/histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>

namespace latchkey::bench {
namespace {

// The first 2^11 values have a bucket each; of every doubling above them, the upper half of 2^11
// buckets is new.
constexpr unsigned kSubBits = 11;
constexpr uint64_t kSubCount = 1u << kSubBits, kHalf = kSubCount / 2;
constexpr uint64_t kLargest = 3'600'000'000;  // an hour of microseconds

size_t bucket_of(uint64_t value) {
  if (value < kSubCount) return value;
  const unsigned shift = static_cast<unsigned>(std::bit_width(value)) - kSubBits;
  return kSubCount + (shift - 1) * kHalf + (value >> shift) - kHalf;
}

uint64_t largest_in(size_t bucket) {
  if (bucket < kSubCount) return bucket;
  const uint64_t shift = (bucket - kSubCount) / kHalf + 1;
  const uint64_t part = (bucket - kSubCount) % kHalf + kHalf;
  return ((part + 1) << shift) - 1;
}

uint64_t within_range(uint64_t value) {
  return std::clamp<uint64_t>(value, 1, kLargest);
}

}  // namespace

void Histogram::record(uint64_t value, uint64_t times) {
  if (times == 0) return;
  value = within_range(value);
  const size_t bucket = bucket_of(value);
  if (bucket >= counts_.size()) counts_.resize(bucket + 1);
  counts_[bucket] += times;
  min_ = count_ == 0 ? value : std::min(min_, value);
  max_ = std::max(max_, value);
  count_ += times;
  sum_ += static_cast<double>(value) * static_cast<double>(times);
}

void Histogram::merge(const Histogram& other) {
  if (other.count_ == 0) return;
  if (counts_.size() < other.counts_.size()) counts_.resize(other.counts_.size());
  for (size_t i = 0; i < other.counts_.size(); ++i) counts_[i] += other.counts_[i];
  min_ = count_ == 0 ? other.min_ : std::min(min_, other.min_);
  max_ = std::max(max_, other.max_);
  count_ += other.count_;
  sum_ += other.sum_;
}

uint64_t Histogram::min() const {
  return min_;
}

uint64_t Histogram::max() const {
  return max_;
}

double Histogram::mean() const {
  return count_ == 0 ? 0 : sum_ / static_cast<double>(count_);
}

uint64_t Histogram::quantile(double q) const {
  if (count_ == 0) return 0;
  const double share = std::ceil(std::clamp(q, 0.0, 1.0) * static_cast<double>(count_));
  const uint64_t wanted = std::clamp<uint64_t>(static_cast<uint64_t>(share), 1, count_);
  if (wanted == 1) return min_;
  uint64_t seen = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    seen += counts_[i];
    if (seen >= wanted) return std::clamp(largest_in(i), min_, max_);
  }
  return max_;
}

std::vector<std::pair<uint64_t, uint64_t>> Histogram::buckets() const {
  std::vector<std::pair<uint64_t, uint64_t>> out;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] != 0) out.emplace_back(largest_in(i), counts_[i]);
  }
  return out;
}

Histogram Histogram::from_buckets(const std::vector<std::pair<uint64_t, uint64_t>>& buckets,
                                  uint64_t min, uint64_t max, double sum) {
  Histogram histogram;
  // A bucket's end may lie behind the largest value that counts.
  for (const auto& [upper, times] : buckets) histogram.record(upper, times);
  if (histogram.count_ == 0) return histogram;
  histogram.min_ = min;
  histogram.max_ = max;
  histogram.sum_ = sum;
  return histogram;
}

}  // namespace latchkey::bench
