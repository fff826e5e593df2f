#include "edge/allowed_names.h"

#include "base/check.h"

namespace latchkey::edge {

AllowedNames::AllowedNames(const std::vector<std::string>& entries) {
  std::vector<std::string> names;
  for (const std::string& entry : entries) {
    if (!addresses_.add(entry)) names.push_back(entry);
  }
  std::vector<Allowlist::BadLine> bad;
  auto list = Allowlist::load(names, {}, bad);
  CHECK(list && bad.empty());
  names_ = *std::move(list);
}

bool AllowedNames::is_entry(std::string_view text) {
  return Allowlist::parse_entry(text).has_value() || AddressRanges().add(text).has_value();
}

bool AllowedNames::contains(const ServerName& name) const {
  if (name.is_ip()) return addresses_.contains(name.text());
  return names_->find(name) != Allowlist::Match::kNone;
}

}  // namespace latchkey::edge
