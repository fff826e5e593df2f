#include "edge/front/rate_limiter.h"

#include <arpa/inet.h>

#include <algorithm>
#include <chrono>
#include <string>

namespace latchkey::edge {
namespace {

using std::chrono::nanoseconds;

int64_t interval_of(const ClientRateConfig& rate) {
  const int64_t per = nanoseconds(rate.per).count();
  return (per + rate.requests - 1) / rate.requests;
}

int64_t burst_of(const ClientRateConfig& rate) {
  return rate.burst > 0 ? rate.burst : rate.requests;
}

// The bytes that stand for a client: 4 of IPv4, 8 of IPv6.
std::string client_of(std::string_view address) {
  const std::string text(address);
  in_addr v4{};
  in6_addr v6{};
  if (::inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    return {reinterpret_cast<const char*>(&v4), sizeof v4};
  }
  if (::inet_pton(AF_INET6, text.c_str(), &v6) != 1) return {};
  const auto* bytes = reinterpret_cast<const char*>(&v6);
  return IN6_IS_ADDR_V4MAPPED(&v6) ? std::string(bytes + 12, 4) : std::string(bytes, 8);
}

}  // namespace

RateLimiter::RateLimiter(const ClientRateConfig& rate)
    : interval_(interval_of(rate)), burst_(burst_of(rate)), buckets_(kBuckets) {}

bool RateLimiter::has(const ClientRateConfig& rate) const {
  return interval_ == interval_of(rate) && burst_ == burst_of(rate);
}

std::optional<Millis> RateLimiter::take(std::string_view address, TimePoint at) {
  const uint64_t hash = SipHash(key_)(client_of(address));
  const uint64_t tag = hash == 0 ? 1 : hash;
  const size_t index = hash % kBuckets;
  const int64_t now = nanoseconds(at.time_since_epoch()).count();
  const std::lock_guard lock(locks_[index % kLocks]);
  Bucket& bucket = buckets_[index];
  auto client =
      std::find_if(bucket.begin(), bucket.end(), [&](const Client& c) { return c.tag == tag; });
  if (client == bucket.end()) {
    client = std::min_element(bucket.begin(), bucket.end(), [](const Client& a, const Client& b) {
      return a.tag == 0 ? b.tag != 0 : b.tag != 0 && a.full_at < b.full_at;
    });
    *client = {tag, now};
  }
  const int64_t then = std::max(client->full_at, now) + interval_;
  const int64_t early = then - now - interval_ * burst_;
  if (early > 0) return std::chrono::ceil<Millis>(nanoseconds(early));
  client->full_at = then;
  return std::nullopt;
}

}  // namespace latchkey::edge
