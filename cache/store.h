#pragma once
#include <optional>
#include <string>
#include <vector>

#include "base/server_name.h"
#include "base/task.h"
#include "cache/certificate.h"

namespace latchkey {

// An ACME account as the store keeps it. The key is the most valuable secret of all.
struct AccountRecord {
  std::string directory;  // the CA's directory URL: the account's identity here
  std::string url;        // the account URL (kid)
  std::string key_der;    // PKCS#8
};

// The persistent tier. Called on the control thread; the work is done on the store's own threads.
// What a put's task reports as done is on disk. Errors are kIo with what failed and the remedy.
class Store {
 public:
  virtual ~Store() = default;

  // Writes, reads back, compares and deletes a probe row, and looks at the free space. While this
  // fails no order is made.
  virtual Task<> self_test() = 0;

  // The certificate for `name`, exact before wildcard, the newest; null if there is none. May be
  // expired. A row that cannot be read is quarantined and reported, and counts as none.
  virtual Task<CertificatePtr> find_certificate(ServerName name) = 0;
  // Certificate and key in one transaction; replaces the name's earlier one. `issuer`: its name in
  // the configuration.
  virtual Task<> put_certificate(ServerName name, CertificatePtr certificate,
                                 std::string issuer) = 0;
  virtual Task<> delete_certificate(ServerName name) = 0;

  virtual Task<std::optional<AccountRecord>> find_account(std::string directory) = 0;
  virtual Task<> put_account(AccountRecord account) = 0;
  virtual Task<> delete_account(std::string directory) = 0;

  // Rows in the certificate table; for status and tests.
  virtual Task<size_t> count_certificates() = 0;
};

}  // namespace latchkey
