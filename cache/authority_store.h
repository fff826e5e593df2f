#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/task.h"

namespace latchkey {

// A CA key of an embedded authority, and the certificates about it.
struct AuthorityKey {
  std::string authority;  // its name in the configuration
  int64_t id = 0;         // the store's; the higher is the newer
  bool root = false;
  int64_t parent = 0;       // the root that signed it; 0 for a root
  std::string certificate;  // DER: a root's by itself, an intermediate's by its parent
  // DER of the same subject and key, certified by the key that came before it (a root by the root
  // before it, an intermediate by the intermediate before it); "" for the first of its kind.
  std::string link{};
  WallTime not_before{};
  WallTime not_after{};  // of `certificate`
  std::string key_der;   // PKCS#8; sealed at rest
};

// A certificate that an embedded authority has issued. Its row is on disk before anybody has it.
struct IssuedCertificate {
  std::string authority;
  std::string serial;    // hex, lower case; unique in the authority
  int64_t signer = 0;    // AuthorityKey::id
  std::string holder{};  // the ACME account's id; "" for one that was issued in-process
  WallTime not_before{};
  WallTime not_after{};
  std::string leaf;                      // DER
  std::optional<WallTime> revoked_at{};  // with `reason`
  int reason = 0;                        // RFC 5280, 5.3.1
};

// An account at the ACME server.
struct AcmeAccountRow {
  std::string authority;
  std::string id;          // in its URL
  std::string thumbprint;  // RFC 7638, of its key; unique in the authority
  std::string document;    // the server's, JSON; no secrets
};

// An order at the ACME server, with its authorizations.
struct AcmeOrderRow {
  std::string authority;
  std::string id;  // in its URL
  std::string account;
  WallTime expires{};    // after which sweep_authority() takes it
  std::string document;  // the server's, JSON
};

// What an embedded authority has on disk. Called on the control thread; the work is done on the
// store's threads. What a put's task reports as done is on disk (synchronous=FULL); puts that come
// while one is being written share the next transaction, so that thousands a second are durable.
// Within one authority puts take effect in the order in which they were called. Errors are kIo with
// what failed and the remedy; when a shared transaction fails, each of its puts does.
class AuthorityStore {
 public:
  virtual ~AuthorityStore() = default;

  // All of them, the oldest first. A key that cannot be opened is an error that says so, never
  // none: a new root would be made.
  virtual Task<std::vector<AuthorityKey>> load_authority_keys(std::string authority) = 0;
  // Without `id`; returns it. In a transaction of its own.
  virtual Task<int64_t> put_authority_key(AuthorityKey key) = 0;

  // `order`: replaced in the same transaction. A serial that is there already is kInvalid.
  virtual Task<> put_issued(IssuedCertificate certificate,
                            std::optional<AcmeOrderRow> order = std::nullopt) = 0;
  virtual Task<std::optional<IssuedCertificate>> find_issued(std::string authority,
                                                             std::string serial) = 0;
  // False: there is no such certificate, or it is revoked already.
  virtual Task<bool> revoke_issued(std::string authority, std::string serial, WallTime at,
                                   int reason) = 0;
  // Of that signer and not expired at `now`: without their leaves, in the order of serials.
  virtual Task<std::vector<IssuedCertificate>> list_revoked(std::string authority, int64_t signer,
                                                            WallTime now) = 0;

  // Replaces an earlier one of that id. kInvalid: another account has that thumbprint.
  virtual Task<> put_acme_account(AcmeAccountRow account) = 0;
  virtual Task<std::optional<AcmeAccountRow>> find_acme_account(std::string authority,
                                                                std::string id) = 0;
  virtual Task<std::optional<AcmeAccountRow>> find_acme_account_by_key(std::string authority,
                                                                       std::string thumbprint) = 0;
  virtual Task<size_t> count_acme_accounts(std::string authority) = 0;

  // Replaces an earlier one of that id.
  virtual Task<> put_acme_order(AcmeOrderRow order) = 0;
  virtual Task<std::optional<AcmeOrderRow>> find_acme_order(std::string authority,
                                                            std::string id) = 0;
  // Ids of an account's orders behind `after`, at most `limit`, in the order of ids.
  virtual Task<std::vector<std::string>> list_acme_orders(std::string authority,
                                                          std::string account, std::string after,
                                                          size_t limit) = 0;
  // Of an account's orders the last `limit` in the order of ids, the last one first.
  virtual Task<std::vector<std::string>> last_acme_orders(std::string authority,
                                                          std::string account, size_t limit) = 0;

  // Deletes orders that have expired and certificates that ended before `certificates_before`, a
  // bounded number, and the keys of CA certificates that ended then. True: nothing is left to do.
  virtual Task<bool> sweep_authority(std::string authority, WallTime now,
                                     WallTime certificates_before) = 0;
};

}  // namespace latchkey
