#pragma once
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>

#include "tests/support/test_certificates.h"

namespace latchkey::test {

// What one name takes in a file system: three files and a folder, a page each.
inline constexpr uint64_t kCaddyEntryBytes = 16 << 10;

// A data folder as Caddy would have it with so many names of one CA: n0.test, n1.test, ... Their
// keys differ. About 0.3 ms each.
void make_caddy_tree(const std::filesystem::path& folder, const TestCa& ca, size_t count);
// Where it has the files of one: folder / "n7.test.crt" beside it .key and .json.
std::filesystem::path caddy_tree_entry(const std::filesystem::path& folder, size_t index);

}  // namespace latchkey::test
