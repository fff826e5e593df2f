#include "edge/parking_bounds.h"

#include <arpa/inet.h>

#include <algorithm>
#include <string>

namespace latchkey::edge {
namespace {

uint64_t big_endian(const uint8_t* bytes, size_t count) {
  uint64_t number = 0;
  for (size_t i = 0; i < count; ++i) number = number << 8 | bytes[i];
  return number;
}

}  // namespace

SourcePrefix SourcePrefix::of(std::string_view address) {
  const std::string text(address.substr(0, address.find('%')));  // without a zone
  std::array<uint8_t, 16> bytes;
  if (::inet_pton(AF_INET, text.c_str(), bytes.data()) == 1) {
    return {false, big_endian(bytes.data(), 3)};
  }
  if (::inet_pton(AF_INET6, text.c_str(), bytes.data()) != 1) return {};
  static constexpr std::array<uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (std::equal(kMapped.begin(), kMapped.end(), bytes.begin())) {
    return {false, big_endian(bytes.data() + kMapped.size(), 3)};
  }
  return {true, big_endian(bytes.data(), 8)};
}

bool ParkingBounds::take_one() {
  size_t now = total_.load(std::memory_order_relaxed);
  while (now < limits_.total) {
    if (total_.compare_exchange_weak(now, now + 1, std::memory_order_relaxed)) return true;
  }
  return false;
}

std::variant<ParkingBounds::Place, ParkingBounds::Bound> ParkingBounds::take(
    const ServerName& name, const SourcePrefix& source) {
  if (!take_one()) return Bound::kTotal;
  auto* const of_source = sources_.take(source, limits_.per_prefix);
  if (of_source == nullptr) {
    total_.fetch_sub(1, std::memory_order_relaxed);
    return Bound::kPerPrefix;
  }
  auto* const of_name = names_.take(name, limits_.per_name);
  if (of_name == nullptr) {
    sources_.give_back(of_source);
    total_.fetch_sub(1, std::memory_order_relaxed);
    return Bound::kPerName;
  }
  return Place(*this, of_name, of_source);
}

void ParkingBounds::Place::give_back() {
  if (bounds_ == nullptr) return;
  ParkingBounds& bounds = *std::exchange(bounds_, nullptr);
  bounds.names_.give_back(name_);
  bounds.sources_.give_back(source_);
  bounds.total_.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace latchkey::edge
