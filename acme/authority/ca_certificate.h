#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/server_name.h"
#include "cache/private_key.h"

namespace latchkey::acme {

// The certificates that an authority makes (RFC 5280). DER in std::string throughout.

// Who signs, as certificates name him.
struct Issuer {
  std::string subject;         // common name
  std::string key_identifier;  // 20 bytes
  PrivateKey key;
};

struct CaForm {
  std::string subject;  // common name
  PrivateKey key;       // whose certificate it is
  WallTime not_before, not_after;
  int path_length = -1;                 // -1: none
  std::string crl_url{}, issuer_url{};  // "": left out
};
// `issuer`: null for a self-signed one.
std::string make_ca_certificate(const CaForm& form, const Issuer* issuer);

struct LeafForm {
  std::vector<ServerName> names;
  std::string public_key;  // SubjectPublicKeyInfo
  WallTime not_before, not_after;
  bool must_staple = false;
  std::string ocsp_url{}, crl_url{}, issuer_url{};  // "": left out
};
struct MadeLeaf {
  std::string der;
  std::string serial;  // hex, lower case
};
// kInvalid: the key does not parse.
Result<MadeLeaf> make_leaf(const LeafForm& form, const Issuer& issuer);

// A key that may be certified: P-256, P-384, RSA of 2048 to 4096 bits with a sound exponent,
// Ed25519 not. DER of a SubjectPublicKeyInfo. kInvalid says why not.
Result<> check_public_key(std::string_view spki);

// 20 bytes that name a key: the first of the SHA-256 of its bits (RFC 7093, 2).
std::string key_identifier(const PrivateKey& key);
// SHA-1 of its bits, as OCSP has it; and of a certificate's subject in DER, by SHA-1 or SHA-256.
std::string key_hash(const PrivateKey& key, bool sha256);
std::string subject_hash(std::string_view certificate, bool sha256);
std::string common_name(std::string_view certificate);
std::string issuer_common_name(std::string_view certificate);
std::string serial_of(std::string_view certificate);  // hex, lower case

// One entry of a CRL.
struct Revoked {
  std::string serial;  // hex
  WallTime at;
  int reason = 0;
};
// `number`: grows from one to the next (RFC 5280, 5.2.3).
std::string make_crl(const Issuer& issuer, const std::vector<Revoked>& revoked,
                     WallTime this_update, WallTime next_update, uint64_t number);

}  // namespace latchkey::acme
