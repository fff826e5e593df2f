#pragma once
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "acme/authority/lifetimes.h"
#include "acme/authority/signers.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/server_name.h"
#include "base/task.h"
#include "cache/authority_store.h"

namespace latchkey::acme {

struct AuthorityOptions {
  std::string name;  // in the configuration: "local"
  Lifetimes lifetimes{};
  // What certificates say where revocation is asked about: "http://ca.internal.example/acme/local",
  // under which "/ocsp", "/crl/SIGNER" and "/issuer/SIGNER" are; "": they say nothing.
  std::string status_url{};
  // False only in a test, to show what comes of it: nothing keeps a signer from being outlived, and
  // intermediates are replaced when the ratio says so.
  bool guard = true;
};

// A leaf to be made.
struct LeafRequest {
  std::vector<ServerName> names;  // 1 to 100; in the subjectAltName, the subject is empty
  std::string public_key;         // DER, SubjectPublicKeyInfo; checked by check_public_key()
  std::string holder{};           // see IssuedCertificate
  bool must_staple = false;       // RFC 7633
};

// An embedded CA: a root, its intermediates, and leaves. Intermediates and roots are replaced in
// time by the calls that sign. Control thread.
class Authority {
 public:
  // REQUIRES: check_lifetimes(). All outlive us.
  Authority(AuthorityOptions options, AuthorityStore& store, Clock& clock, Log& log);
  ~Authority();
  Authority(const Authority&) = delete;

  // Reads what is stored; makes a root and an intermediate where there is none; replaces what is
  // due. Nothing is signed before this has succeeded once. May be called again (concurrent calls
  // share one run): every call that signs does so first.
  Task<> keep();
  // It does so by itself once an hour, and deletes what has ended for long, from the first keep()
  // on until it is stopped: another process does that now. keep() of a stopped one reads everything
  // anew.
  void stop();

  // The signed leaf, not stored yet: it goes to AuthorityStore::put_issued() before anybody has it.
  // Replaces first what is due. kInvalid: the key or the names will not do.
  Task<IssuedCertificate> sign(LeafRequest request);
  // The same, and stored: its chain.
  Task<Chain> issue(LeafRequest request);

  // The chain to be served with that leaf, and behind it others that are as good: none has a
  // certificate that ends before the leaf. None at all: its signer ended over a week ago.
  std::vector<Chain> chains(const IssuedCertificate& certificate) const;

  // False: unknown, or revoked already. The next CRL and OCSP answer say so. `reason`: RFC 5280.
  Task<bool> revoke(std::string serial, int reason);
  // DER (RFC 5280, 5), by that signer; kNotFound: there is no such signer.
  Task<std::string> crl(int64_t signer);
  // DER (RFC 6960), to a request in DER; never fails for what the request says.
  Task<std::string> ocsp(std::string request);
  // The signer's certificate, DER.
  Result<std::string> issuer_certificate(int64_t signer) const;
  // Whose authority key identifier is that (RFC 9773, 4.1)? False: none of ours.
  bool is_ours(std::string_view key_identifier) const;
  // The window in which a certificate should be renewed; before it ends where it is revoked.
  struct Window {
    WallTime start;
    WallTime end;
  };
  Window renewal_window(const IssuedCertificate& certificate) const;

  // PEM of the roots to be trusted, the newest first. REQUIRES: keep() has succeeded.
  std::string roots_pem() const;
  // Makes a new intermediate now, or (root) a new root and an intermediate under it.
  Task<> rotate(bool root);

  // One CA certificate, as the operator sees it.
  struct SignerStatus {
    int64_t id = 0;
    bool root = false;
    bool active = false;  // signs new certificates
    std::string subject, serial, sha256;
    WallTime not_before{}, not_after{};
    WallTime replace_at{};  // not after which it is replaced
  };
  std::vector<SignerStatus> signers() const;  // the newest first
  const AuthorityOptions& options() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::acme
