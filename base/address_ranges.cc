#include "base/address_ranges.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>
#include <optional>

namespace latchkey {
namespace {

using Bytes = std::array<uint8_t, 16>;
constexpr int kBits = 128, kMapped = 96;  // where an IPv4 address begins

struct Parsed {
  Bytes bytes{};
  bool v4 = false;
};

std::optional<Parsed> parse(std::string_view text) {
  if (text.find('\0') != std::string_view::npos) return std::nullopt;
  const std::string address(text);
  Parsed out;
  if (::inet_pton(AF_INET, address.c_str(), &out.bytes[12]) == 1) {
    out.bytes[10] = out.bytes[11] = 0xff;
    out.v4 = true;
    return out;
  }
  if (::inet_pton(AF_INET6, address.c_str(), out.bytes.data()) != 1) return std::nullopt;
  return out;
}

bool bit(const Bytes& bytes, int at) {
  return (bytes[static_cast<size_t>(at / 8)] >> (7 - at % 8) & 1) != 0;
}

bool same_prefix(const Bytes& a, const Bytes& b, int length) {
  const auto whole = a.begin() + length / 8;
  if (!std::equal(a.begin(), whole, b.begin())) return false;
  for (int at = length - length % 8; at < length; ++at) {
    if (bit(a, at) != bit(b, at)) return false;
  }
  return true;
}

}  // namespace

Result<> AddressRanges::add(std::string_view text) {
  const auto bad = [&](const std::string& why) {
    return Error{ErrorCode::kInvalid, "\"" + std::string(text) + "\" " + why};
  };
  const size_t slash = text.find('/');
  const auto address = parse(text.substr(0, slash));
  if (!address) return bad("is no IP address or range, such as 10.0.0.0/8 or 2001:db8::/32");
  const int most = address->v4 ? kBits - kMapped : kBits;
  int length = most;
  if (slash != std::string_view::npos) {
    const std::string_view digits = text.substr(slash + 1);
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), length);
    if (digits.empty() || read.ec != std::errc() || read.ptr != digits.data() + digits.size() ||
        length < 0 || length > most) {
      return bad("needs a length of 0 to " + std::to_string(most) + " behind the slash");
    }
  }
  const Range range{address->bytes, length + kBits - most};
  for (int at = range.length; at < kBits; ++at) {
    if (bit(range.bytes, at)) {
      return bad("has bits set behind its " + std::to_string(length) +
                 "; write the first address of the range");
    }
  }
  ranges_.push_back(range);
  return Unit{};
}

bool AddressRanges::contains(std::string_view address) const {
  if (ranges_.empty()) return false;
  const auto parsed = parse(address);
  return parsed && std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
           return same_prefix(range.bytes, parsed->bytes, range.length);
         });
}

}  // namespace latchkey
