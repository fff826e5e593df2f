#pragma once
// The certificate tables: what the store does, on one connection, on the calling thread.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "base/server_name.h"
#include "cache/certificate.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

// A row that cannot be used, and why.
struct BadRow {
  int64_t id = 0;
  std::string name;  // that it was obtained for
  std::string cause;
};

struct Found {
  CertificatePtr certificate;  // null: none, or a bad one
  std::optional<BadRow> bad;
};

// Exact before wildcard, then the newest: one indexed read. What it returns was checked: the
// bytes are those that were put, and the key is the leaf's.
Result<Found> find_certificate(Connection& connection, const SecretBox& box,
                               const ServerName& name);

// One transaction. `name` and the certificate's own names lead to it from now on (an own name
// that already leads to one made later stays with that); rows that no name leads to any more are
// deleted, with their keys.
Result<> put_certificate(Connection& connection, const SecretBox& box, const ServerName& name,
                         const Certificate& certificate, const std::string& issuer);
Result<> delete_certificate(Connection& connection, const ServerName& name);
// The same, within the caller's transaction.
Result<> release_certificate(Connection& connection, const ServerName& name);
Result<size_t> count_certificates(Connection& connection);

// Moves the row aside. At most 1000 are kept there.
Result<> quarantine(Connection& connection, const BadRow& bad);

}  // namespace latchkey::sqlite
