#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace latchkey::bench {

// Which server names the handshakes ask for.
struct NamePlan {
  enum class Kind { kNone, kOne, kFile, kRange, kRandom };

  Kind kind = Kind::kNone;
  std::string text;        // the name, the file, or the pattern with its %d or %s
  uint64_t count = 0;      // of a range
  uint64_t first = 0;      // of a range, or of a file's names
  bool at_random = false;  // else in order, over and over
};

// Names of such a plan, one after the other. One lane of several takes every n-th of those that
// are in order, so that the lanes do not repeat one another.
class Names {
 public:
  // Errors: a file that cannot be read or holds no name, a pattern without %d or %s.
  static Result<Names> make(const NamePlan& plan, unsigned lane = 0, unsigned lanes = 1);

  // The next name; valid until the next call. "" without a plan.
  std::string_view next();
  // Which one next() gave last, of size(); random ones have no numbers: 0.
  uint64_t index() const { return index_; }
  std::string_view at(uint64_t index);  // for all but random ones
  // How many different ones; 0: as many as one likes.
  uint64_t size() const;

 private:
  Names(const NamePlan& plan, unsigned lane, unsigned lanes);
  void number(uint64_t value);
  void random_label();
  uint64_t random();

  NamePlan plan_;
  std::shared_ptr<const std::vector<std::string>> listed_;  // of a file
  std::string before_, after_;                              // the pattern's two halves
  unsigned lanes_;
  uint64_t at_;  // the next one's number, in order
  uint64_t index_ = 0;
  uint64_t state_;  // of the random numbers
  std::string name_;
};

}  // namespace latchkey::bench
