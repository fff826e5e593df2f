#pragma once
#include <filesystem>

#include "edge/import/place.h"

namespace latchkey::edge {

// certbot's folder (/etc/letsencrypt), or the live/ in it:
//   live/NAME/fullchain.pem, privkey.pem       links into archive/
//   renewal/NAME.conf                          server = directory URL, account = ID
//   accounts/HOST/PATH.../ID/                  private_key.json (JWK), regr.json (uri)
bool looks_like_certbot(const std::filesystem::path& root);
void walk_certbot(const std::filesystem::path& root, const ImportVisitor& visit);

}  // namespace latchkey::edge
