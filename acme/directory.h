#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace latchkey::acme {

// What a CA offers, and where (RFC 8555, 7.1.1). URLs are checked; "" for what it does not have.
struct Directory {
  std::string new_nonce;
  std::string new_account;
  std::string new_order;
  std::string new_authz;     // optional
  std::string revoke_cert;   // optional here: nothing that we cannot do without
  std::string key_change;    // optional, too
  std::string renewal_info;  // RFC 9773, optional
  std::string terms_of_service;
  bool external_account_required = false;
  std::vector<std::string> profiles;  // draft-ietf-acme-profiles; <= 32 of <= 80 bytes

  bool has_profile(std::string_view name) const;

  // `url`: where `body` came from, for messages.
  static Result<Directory> parse(std::string_view url, std::string_view body);
};

// Nonces in hand. The freshest is used first: what a CA forgets, it forgets from the old end.
class NoncePool {
 public:
  // Takes what a Replay-Nonce header said; what is no nonce is ignored (RFC 8555, 6.5.1).
  void put(std::string_view nonce);
  // "" when there is none.
  std::string take();
  size_t size() const { return nonces_.size(); }

 private:
  std::vector<std::string> nonces_;  // <= 64 of <= 256 bytes; the freshest last
};

}  // namespace latchkey::acme
