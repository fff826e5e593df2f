#pragma once
#include <filesystem>

#include "edge/import/place.h"

namespace latchkey::edge {

// acme.sh's folder (~/.acme.sh), or the one that it keeps certificates in:
//   NAME/ (RSA), NAME_ecc/              fullchain.cer, NAME.key, NAME.conf (Le_API)
//   ca/HOST/PATH.../                    account.key, ca.conf (ACCOUNT_URL, CA_EAB_KEY_ID)
bool looks_like_acme_sh(const std::filesystem::path& root);
void walk_acme_sh(const std::filesystem::path& root, const ImportVisitor& visit);

}  // namespace latchkey::edge
