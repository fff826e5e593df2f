#pragma once
// Rows of the certificate tables, and which names lead to them: what the operations in
// sqlite_certificates.h and sqlite_import.h are made of. All within the caller's transaction.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "cache/certificate.h"
#include "cache/renewal.h"
#include "cache/secret_box.h"
#include "cache/slot.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

std::string sha256(std::string_view bytes);

// What a certificate's sealed key is bound to.
std::string certificate_context(std::string_view name, std::string_view leaf);

// Adds the issuers of a row of `chain`. False if the lengths do not fit.
bool unpack(std::string_view packed, std::vector<std::string>& chain);

// A row that a name leads to.
struct Holder {
  int64_t id = 0;
  int64_t not_before = 0;
  int64_t end = 0;
};
Result<std::vector<Holder>> holders(Connection& connection, const std::string& name, Slot slot);

// The value is the row's id. No name leads to it yet.
Result<int64_t> insert(Connection& connection, const SecretBox& box, const ServerName& name,
                       const Certificate& certificate, const CertificateOrigin& origin);

// The name leads to that row from now on.
Result<> lead(Connection& connection, const std::string& name, int64_t id);
// The name leads to nothing in that slot any more; `left` gets the rows that it led to.
Result<> release(Connection& connection, const std::string& name, Slot slot,
                 std::vector<int64_t>& left);

// Deletes the certificate, its staple and, if it was the last of it, its chain.
Result<> delete_row(Connection& connection, int64_t id);
// The staple's row has a name that leads to the certificate, from now on.
Result<> name_staple(Connection& connection, int64_t id);
// The same as delete_row() where no name leads to it; else name_staple(). What only wildcards lead
// to stays; if it was obtained for a host name it is not renewed, for nobody knows for which name.
Result<> delete_if_nameless(Connection& connection, int64_t id);

}  // namespace latchkey::sqlite
