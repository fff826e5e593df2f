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
#include "cache/sqlite_certificate_rows.h"
#include "cache/sqlite_renewals.h"

namespace latchkey::sqlite {

struct Found {
  CertificatePtr certificate{};           // null: none, or a bad one
  std::optional<CertificateInfo> info{};  // of the certificate
  std::optional<BadRow> bad{};
};

// Exact before wildcard, then the newest: one indexed read. What it returns was checked: the
// bytes are those that were put, and the key is the leaf's. With its staple, if that is good.
Result<Found> find_certificate(Connection& connection, const SecretBox& box, const ServerName& name,
                               Slot slot);

// One transaction. `name` and the certificate's own names lead to it from now on, in its slot (an
// own name that already leads to one made later stays with that); rows that no name leads to any
// more are deleted, with their keys and staples. So is the pending order of name and slot.
Result<> put_certificate(Connection& connection, const SecretBox& box, const ServerName& name,
                         const Certificate& certificate, const CertificateOrigin& origin);
// In both slots.
Result<> delete_certificate(Connection& connection, const ServerName& name);
// The same, within the caller's transaction.
Result<> release_certificate(Connection& connection, const ServerName& name);
// The same for one certificate, whatever names lead to it. `names` gets them.
Result<> release_row(Connection& connection, int64_t id, std::vector<std::string>& names);
// The same in a transaction. The value: the names.
Result<std::vector<std::string>> delete_certificate_row(Connection& connection, int64_t id);
Result<size_t> count_certificates(Connection& connection);

// Moves the row aside. At most 1000 are kept there. False: somebody else has.
Result<bool> quarantine(Connection& connection, const BadRow& bad);
// Keeps no more than that many, within the caller's transaction.
Result<> trim_quarantine(Connection& connection);

}  // namespace latchkey::sqlite
