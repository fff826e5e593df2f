#pragma once
#include <memory>
#include <string>
#include <vector>

#include "base/address_ranges.h"
#include "base/server_name.h"
#include "policy/allowlist.h"

namespace latchkey::edge {

// Names that an embedded authority may sign: "shop.internal.example", "*.internal.example" (any
// name below it, and the wildcard itself), "192.0.2.7", "10.0.0.0/8".
class AllowedNames {
 public:
  // REQUIRES: entries of a configuration that was judged good.
  explicit AllowedNames(const std::vector<std::string>& entries);

  static bool is_entry(std::string_view text);

  bool contains(const ServerName& name) const;

 private:
  std::shared_ptr<const Allowlist> names_;
  AddressRanges addresses_;
};

}  // namespace latchkey::edge
