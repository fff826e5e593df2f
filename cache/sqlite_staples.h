#pragma once
// Staples, and when they are to be looked at: what the store does, on one connection, on the
// calling thread.

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "cache/certificate.h"
#include "cache/slot.h"
#include "cache/sqlite.h"
#include "cache/staple.h"

namespace latchkey::sqlite {

Result<> put_staple(Connection& connection, const StapleRecord& record);
Result<> delete_staple(Connection& connection, const std::string& leaf);
Result<std::optional<StapleRecord>> find_staple(Connection& connection, const std::string& leaf);
Result<DueStaples> find_due_staples(Connection& connection, WallTime now, size_t limit);
Result<> hasten_staples(Connection& connection, WallTime late, WallTime at);

// For a certificate that is just stored and has a responder: it is asked now. A staple that comes
// with the certificate is kept, and one that is there. Within the caller's transaction.
Result<> expect_staple(Connection& connection, const ServerName& name, Slot slot,
                       const Certificate& certificate);
// The certificate, with its staple if one is stored that is good.
Result<CertificatePtr> attach_staple(Connection& connection, CertificatePtr certificate,
                                     WallTime now);

}  // namespace latchkey::sqlite
