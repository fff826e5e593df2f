#pragma once
#include <cstdint>

#include "tests/support/fd.h"

namespace latchkey::test {

// A port of 127.0.0.1, below the range that the kernel hands out, that no other test of ours gets
// while this lives, not even one that runs in another process.
class ReservedPort {
 public:
  enum class Hold {
    kBound,  // a socket with SO_REUSEPORT keeps it: for listeners that set SO_REUSEPORT too.
             // Until one listens, connections are refused
    kFree,   // for programs that bind without SO_REUSEPORT, by TCP or UDP
  };

  explicit ReservedPort(Hold hold = Hold::kBound);

  uint16_t number() const { return number_; }

 private:
  Fd lock_;
  Fd socket_;
  uint16_t number_ = 0;
};

}  // namespace latchkey::test
