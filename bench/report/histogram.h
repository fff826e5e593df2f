#pragma once
#include <cstdint>
#include <utility>
#include <vector>

namespace latchkey::bench {

// Counts of values in log-linear buckets (the scheme of HdrHistogram): from 1 to 3.6e9, each bucket
// at most a thousandth of its value wide, so that a quantile is exact to three digits. Larger
// values count as the largest one. Not thread-safe; threads keep one each and merge.
class Histogram {
 public:
  void record(uint64_t value, uint64_t times = 1);
  void merge(const Histogram& other);

  uint64_t count() const { return count_; }
  bool empty() const { return count_ == 0; }
  uint64_t min() const;  // of an empty one all of these are 0
  uint64_t max() const;
  double mean() const;
  // The smallest value that at least the share `q` (0 to 1) of all do not exceed.
  uint64_t quantile(double q) const;

  // Non-empty buckets in order: the largest value of the bucket, and how many.
  std::vector<std::pair<uint64_t, uint64_t>> buckets() const;
  static Histogram from_buckets(const std::vector<std::pair<uint64_t, uint64_t>>& buckets,
                                uint64_t min, uint64_t max, double sum);

 private:
  std::vector<uint64_t> counts_;  // grown as needed
  uint64_t count_ = 0, min_ = 0, max_ = 0;
  double sum_ = 0;
};

}  // namespace latchkey::bench
