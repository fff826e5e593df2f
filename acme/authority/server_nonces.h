#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace latchkey::acme {

// Nonces (RFC 8555, 6.5) that are not kept: each is a number, a time and a tag over both under a
// key that lives as long as this object. Kept is one bit for each of the last million, so that none
// is good twice. One thread.
class ServerNonces {
 public:
  static constexpr size_t kWindow = size_t{1} << 20;  // 128 KiB of bits; 200 s of 5 000 a second
  static constexpr std::chrono::seconds kLife{3600};

  ServerNonces();

  std::string make(WallTime now);
  // False: not ours, expired, out of the window, or used before. True once.
  bool use(std::string_view nonce, WallTime now);

 private:
  std::string tag(std::string_view body) const;

  std::string key_;  // secret
  uint64_t next_ = 0;
  std::vector<bool> used_;  // of number n at n % kWindow; cleared when n is made
};

}  // namespace latchkey::acme
