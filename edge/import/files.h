#pragma once
// Files of another program's, read with care: a tree may be damaged, huge, full of links, or its
// owner's trap for who reads it as root.

#include <filesystem>
#include <functional>
#include <string>

#include "base/json.h"
#include "base/result.h"

namespace latchkey::edge {

constexpr size_t kMaxImportFile = 64 << 10;  // bytes

// The whole file, if it is a regular one, behind whatever links. The error says which file (by its
// own name, without its folders) and why: kNotFound, kInvalid (no regular file, too long), kIo.
// Nothing of what is in it is ever in an error.
Result<std::string> read_import_file(const std::filesystem::path& file);

// The same, as JSON. What does not parse is not quoted.
Result<JsonValue> read_import_json(const std::filesystem::path& file);

// Is it a folder, or a link to one?
bool is_folder(const std::filesystem::path& path);
// Is it a regular file, or a link to one?
bool is_file(const std::filesystem::path& path);

// The names in a folder, as they come and one at a time: it may hold millions. `each` returns false
// to stop. The error says why the folder cannot be read.
Result<> each_name_in(const std::filesystem::path& folder,
                      const std::function<bool(const std::string&)>& each);

}  // namespace latchkey::edge
