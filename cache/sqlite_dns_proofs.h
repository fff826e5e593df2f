#pragma once
// DNS records that are published for challenges: what the store does, on one connection, on the
// calling thread.

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "cache/renewal.h"
#include "cache/sqlite.h"

namespace latchkey::sqlite {

// The value is its id.
Result<int64_t> put_dns_proof(Connection& connection, const DnsProof& proof);
Result<> delete_dns_proof(Connection& connection, int64_t id);
// The oldest first.
Result<std::vector<DnsProof>> load_dns_proofs(Connection& connection, size_t limit);

}  // namespace latchkey::sqlite
