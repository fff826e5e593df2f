#pragma once
#include "base/clock.h"
#include "base/result.h"

namespace latchkey::acme {

// How long an authority's certificates live.
struct Lifetimes {
  std::chrono::seconds root = std::chrono::days(3650);
  std::chrono::seconds intermediate = std::chrono::days(7);
  std::chrono::seconds leaf = std::chrono::hours(12);
  // A CA certificate is replaced when this part of its life is left; 0 < ratio < 1.
  double renewal_window_ratio = 0.2;

  // Are replaced when no more than this is left.
  std::chrono::seconds intermediate_window() const;
  std::chrono::seconds root_window() const;
  // What leaf_lifetime must stay below the intermediate's window by, for clocks that are set back
  // and for roundings: a hundredth of the leaf's life, 5 minutes at most.
  std::chrono::seconds leaf_margin() const;
  std::chrono::seconds intermediate_margin() const;
};

// What is certified lives no longer than its signer: a leaf that is made in the last moment before
// a rotation lives on what is then left of the intermediate, and an intermediate of the root. So
//   leaf + margin < ratio * intermediate, and intermediate + margin < ratio * root.
// kInvalid: the inequality, the numbers, and values that would do.
Result<> check_lifetimes(const Lifetimes& lifetimes);

}  // namespace latchkey::acme
