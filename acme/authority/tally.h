#pragma once
#include <cstddef>
#include <string>
#include <unordered_map>
#include <utility>

namespace latchkey::acme {

// How many of something each account has at the moment. One thread.
class Tally {
 public:
  // Counts from now until it goes.
  class One {
   public:
    One(Tally& tally, std::string account) : tally_(tally), account_(std::move(account)) {
      ++tally_.total_;
      ++tally_.counts_[account_];
    }
    One(const One&) = delete;
    ~One() {
      --tally_.total_;
      const auto found = tally_.counts_.find(account_);
      if (--found->second == 0) tally_.counts_.erase(found);
    }

   private:
    Tally& tally_;
    const std::string account_;
  };

  size_t total() const { return total_; }
  size_t of(const std::string& account) const {
    const auto found = counts_.find(account);
    return found == counts_.end() ? 0 : found->second;
  }

 private:
  size_t total_ = 0;
  std::unordered_map<std::string, size_t> counts_;  // <= total_
};

}  // namespace latchkey::acme
