#pragma once
#include <filesystem>
#include <vector>

#include "edge/import/place.h"

namespace latchkey::edge {

// Plain PEM in a folder and the folders right in it. A certificate's key is in the same file, or in
// one whose name says so: a.crt and a.key, fullchain.pem and privkey.pem, cert.pem and key.pem,
// a.pem and a-key.pem.
void walk_pem(const std::filesystem::path& root, const ImportVisitor& visit);

// Files that were named one by one: a key may be any of them.
void walk_pem_files(const std::vector<std::filesystem::path>& files, const ImportVisitor& visit);

}  // namespace latchkey::edge
