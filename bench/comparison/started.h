#pragma once
#include <chrono>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "bench/comparison/peer.h"

namespace latchkey::bench {

class Timer {
 public:
  double seconds() const {
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin_).count();
  }
  double ms() const { return seconds() * 1000; }

 private:
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
};

struct Started {
  std::unique_ptr<Peer> peer;
  double seconds = 0;  // from its exec to the end of the first handshake
};

// Tries until a handshake for `name` is done. Errors: not within `limit` seconds.
Result<Started> start_and_shake_hands(std::string_view server, const PeerSetup& setup,
                                      const std::string& name, double limit = 30);

// RSS of a process now.
double resident_bytes(pid_t pid);

}  // namespace latchkey::bench
