#pragma once
#include <filesystem>

#include "edge/import/place.h"

namespace latchkey::edge {

// Caddy's data folder, or the one above it ($XDG_DATA_HOME):
//   certificates/ISSUER-KEY/NAME/NAME.crt, .key, .json    "wildcard_.a.test" for "*.a.test"
//   acme/ISSUER-KEY/users/EMAIL/USER.json, .key
bool looks_like_caddy(const std::filesystem::path& root);
void walk_caddy(const std::filesystem::path& root, const ImportVisitor& visit);

}  // namespace latchkey::edge
