#pragma once
// The tables of embedded authorities (see AuthorityStore). What writes is one statement, or is
// called inside of a transaction; kInvalid: it was refused and has written nothing.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cache/authority_store.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

// What a sealed CA key is bound to: the row, by its certificate (DER).
std::string authority_key_context(std::string_view authority, std::string_view certificate);

Result<std::vector<AuthorityKey>> load_authority_keys(Connection& connection, const SecretBox& box,
                                                      const std::string& authority);
Result<int64_t> put_authority_key(Connection& connection, const SecretBox& box,
                                  const AuthorityKey& key);

Result<> put_issued(Connection& connection, const IssuedCertificate& certificate,
                    const std::optional<AcmeOrderRow>& order);
Result<std::optional<IssuedCertificate>> find_issued(Connection& connection,
                                                     const std::string& authority,
                                                     const std::string& serial);
Result<bool> revoke_issued(Connection& connection, const std::string& authority,
                           const std::string& serial, WallTime at, int reason);
Result<std::vector<IssuedCertificate>> list_revoked(Connection& connection,
                                                    const std::string& authority, int64_t signer,
                                                    WallTime now);

Result<> put_acme_account(Connection& connection, const AcmeAccountRow& account);
Result<std::optional<AcmeAccountRow>> find_acme_account(Connection& connection,
                                                        const std::string& authority,
                                                        const std::string& id);
Result<std::optional<AcmeAccountRow>> find_acme_account_by_key(Connection& connection,
                                                               const std::string& authority,
                                                               const std::string& thumbprint);
Result<size_t> count_acme_accounts(Connection& connection, const std::string& authority);

Result<> put_acme_order(Connection& connection, const AcmeOrderRow& order);
Result<std::optional<AcmeOrderRow>> find_acme_order(Connection& connection,
                                                    const std::string& authority,
                                                    const std::string& id);
Result<std::vector<std::string>> list_acme_orders(Connection& connection,
                                                  const std::string& authority,
                                                  const std::string& account,
                                                  const std::string& after, size_t limit);
Result<std::vector<std::string>> last_acme_orders(Connection& connection,
                                                  const std::string& authority,
                                                  const std::string& account, size_t limit);

// In a transaction of its own. Deletes at most this many rows of a table (20 ms).
constexpr int64_t kSweepAuthorityRows = 1000;
Result<bool> sweep_authority(Connection& connection, const std::string& authority, WallTime now,
                             WallTime certificates_before);

}  // namespace latchkey::sqlite
