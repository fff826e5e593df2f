#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace latchkey {

// Ranges of IP addresses ("10.0.0.0/8", "2001:db8::/32", "192.0.2.7"), and whether an address lies
// in one of them. An IPv4 address in IPv6's clothes (::ffff:192.0.2.1) is an IPv4 address.
class AddressRanges {
 public:
  // kInvalid: what is wrong with `text`; bits behind the prefix's length that are set, too, for a
  // typo in the length would open more than was meant.
  Result<> add(std::string_view text);

  // `address`: numeric, without port or brackets.
  bool contains(std::string_view address) const;
  bool empty() const { return ranges_.empty(); }

 private:
  struct Range {
    std::array<uint8_t, 16> bytes{};  // IPv4 as ::ffff:a.b.c.d
    int length = 0;                   // of the prefix, of 128 bits
  };
  std::vector<Range> ranges_;
};

}  // namespace latchkey
