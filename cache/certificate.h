#pragma once
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/server_name.h"
#include "cache/private_key.h"
#include "cache/staple.h"

struct crypto_buffer_st;  // BoringSSL's CRYPTO_BUFFER

namespace latchkey {

class Certificate;
using CertificatePtr = std::shared_ptr<const Certificate>;

// A certificate as it is served: DER chain, leaf first, and its private key. Immutable, so it is
// shared by all threads. Issuer buffers are interned: many leaves, one copy of each intermediate.
class Certificate {
 public:
  // Errors (kInvalid): no certificate in the PEM, one that does not parse, a key that is not the
  // leaf's. Does not judge names, dates or order; the ACME client does that before storing.
  static Result<CertificatePtr> from_pem(std::string_view chain_pem, PrivateKey key);
  // `chain`: DER, leaf first.
  static Result<CertificatePtr> from_der(const std::vector<std::string>& chain, PrivateKey key);
  ~Certificate();
  Certificate(const Certificate&) = delete;

  // What SSL_set_chain_and_key wants; owned by us.
  const std::vector<crypto_buffer_st*>& chain() const { return chain_; }
  const PrivateKey& key() const { return key_; }
  std::vector<std::string> chain_der() const;  // leaf first

  // The leaf's dNSNames, lower case, "*.example.com" included; iPAddresses as text.
  const std::vector<std::string>& names() const { return names_; }
  // Does a dNSName match, by RFC 6125 (a wildcard stands for exactly the first label)?
  bool covers(const ServerName& name) const;
  // The same for a Host or :authority without its port; a host that is no ServerName may be an IP.
  bool covers_host(std::string_view host) const;

  WallTime not_before() const { return not_before_; }
  WallTime not_after() const { return not_after_; }  // the leaf's
  // The smallest in the chain, save of issuers that had expired before the leaf was made.
  WallTime chain_not_after() const { return chain_not_after_; }
  const std::string& serial() const { return serial_; }  // hex, lower case
  const std::string& issuer() const { return issuer_; }  // the leaf's issuer, CN or whole name
  bool valid_at(WallTime now) const { return not_before_ <= now && now < not_after_; }
  // No more to be served. One that begins in a moment is: clocks differ by minutes.
  bool expired_at(WallTime now) const { return now >= not_after_; }
  size_t bytes() const { return bytes_; }  // of memory, about, interned issuers left out

  // The OCSP responder's http URL, from the leaf's authorityInfoAccess; "" for none.
  const std::string& ocsp_responder() const { return ocsp_responder_; }
  // To be stapled while it is good_at(); null: none.
  const StaplePtr& staple() const { return staple_; }
  // The same certificate with another staple, or (null) without one.
  CertificatePtr with_staple(StaplePtr staple) const;
  // SHA-256 of the leaf's DER: the certificate's identity, 32 bytes.
  std::string leaf_hash() const;
  bool same_leaf(const Certificate& other) const;
  bool is_rsa() const;  // its key

 private:
  Certificate() = default;

  std::vector<crypto_buffer_st*> chain_;
  PrivateKey key_;
  std::vector<std::string> names_;
  WallTime not_before_{};
  WallTime not_after_{};
  WallTime chain_not_after_{};
  std::string serial_;
  std::string issuer_;
  std::string ocsp_responder_;
  StaplePtr staple_;
  size_t bytes_ = 0;
};

}  // namespace latchkey
