#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "acme/authority/server_context.h"
#include "cache/lru.h"

namespace latchkey::acme {

// RFC 9773: which certificate an order replaces, and when one should be. Control thread.
class Replacements {
 public:
  explicit Replacements(ServerContext& context) : context_(context) {}

  // May an order for these names replace that certificate (RFC 9773, 5)? `id`: as in 4.1. False: it
  // is none that we know of (any more: a machine that was off for long renews what has been swept),
  // and the order is one like others.
  Task<Judged<bool>> check(std::string id, std::string account, std::vector<ServerName> names);
  // An order that does has been made, or come to nothing.
  void note(const std::string& id, const std::string& order);

  // The renewalInfo of 4.2: its URL's id alone says whose it is.
  Task<ServerAnswer> renewal_info(ServerRoute route);

 private:
  // Null: we have issued none such.
  Task<std::optional<IssuedCertificate>> find(std::string id);

  ServerContext& context_;
  // Certificate's id -> the order that replaces it. Not stored: what is forgotten (by a restart, or
  // as it is full) may be replaced twice, which harms nobody here.
  Lru<std::string> replaced_by_{100'000, SIZE_MAX};
};

}  // namespace latchkey::acme
