#pragma once
// The certificate tables: what the store does, on one connection, on the calling thread.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "cache/certificate.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/sqlite_renewals.h"

namespace latchkey::sqlite {

struct Found {
  CertificatePtr certificate{};           // null: none, or a bad one
  std::optional<CertificateInfo> info{};  // of the certificate
  std::optional<BadRow> bad{};
};

// Exact before wildcard, then the newest: one indexed read. What it returns was checked: the
// bytes are those that were put, and the key is the leaf's.
Result<Found> find_certificate(Connection& connection, const SecretBox& box,
                               const ServerName& name);

// One transaction. `name` and the certificate's own names lead to it from now on (an own name
// that already leads to one made later stays with that); rows that no name leads to any more are
// deleted, with their keys. So is the name's pending order.
Result<> put_certificate(Connection& connection, const SecretBox& box, const ServerName& name,
                         const Certificate& certificate, const CertificateOrigin& origin);
Result<> delete_certificate(Connection& connection, const ServerName& name);
// The same, within the caller's transaction.
Result<> release_certificate(Connection& connection, const ServerName& name);
// The same for one certificate, whatever names lead to it. `names` gets them.
Result<> release_row(Connection& connection, int64_t id, std::vector<std::string>& names);
Result<size_t> count_certificates(Connection& connection);

// Moves the row aside. At most 1000 are kept there. False: somebody else has.
Result<bool> quarantine(Connection& connection, const BadRow& bad);
// Keeps no more than that many, within the caller's transaction.
Result<> trim_quarantine(Connection& connection);

// What a certificate's sealed key is bound to.
std::string certificate_context(std::string_view name, std::string_view leaf);

}  // namespace latchkey::sqlite
