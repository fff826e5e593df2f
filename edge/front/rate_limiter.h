#pragma once
#include <array>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/sip_hash.h"
#include "edge/front/config.h"

namespace latchkey::edge {

// How often each client may ask: by address, IPv6 by the /64 that a subscriber has. One table for
// the process; any thread may call.
//
// A client is a number, the time at which its tokens are all back (the GCRA), and lies in one of
// the places that a keyed hash gives it. Where all are taken by others, the one that lacks the
// fewest tokens gives way: to be forgotten, somebody must have others with a longer debt than his
// own put beside him by chance, and whom newcomers drive out has lost next to nothing.
class RateLimiter {
 public:
  static constexpr size_t kBuckets = 8192, kWays = 16;  // 16 bytes each: 2 MiB, 131 072 clients

  explicit RateLimiter(const ClientRateConfig& rate);
  RateLimiter(const RateLimiter&) = delete;

  // Takes a token. Nullopt: there was one; else when to come back. `address`: numeric; what is none
  // is one client.
  std::optional<Millis> take(std::string_view address, TimePoint now);

  bool has(const ClientRateConfig& rate) const;

 private:
  struct Client {
    uint64_t tag = 0;     // of its address; 0: nobody
    int64_t full_at = 0;  // ns, as of TimePoint: all tokens are back
  };
  using Bucket = std::array<Client, kWays>;
  static constexpr size_t kLocks = 64;

  const int64_t interval_;  // ns for a token
  const int64_t burst_;
  const SipHash::Key key_ = SipHash::random_key();
  std::array<std::mutex, kLocks> locks_;
  std::vector<Bucket> buckets_;  // each guarded by locks_[index % kLocks]
};

}  // namespace latchkey::edge
