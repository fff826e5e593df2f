#pragma once
// Certificates from elsewhere, many at a time: what the store does, on one connection, on the
// calling thread.

#include <vector>

#include "base/result.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/store.h"

namespace latchkey::sqlite {

// In one transaction. A result for each, in the same order. Names that are none of ours (of other
// characters, or "*" elsewhere than in front) are left out; a name stays with what ends later.
Result<std::vector<Result<ImportOutcome>>> import_certificates(
    Connection& connection, const SecretBox& box, const std::vector<ImportedCertificate>& batch);

}  // namespace latchkey::sqlite
