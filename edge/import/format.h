#pragma once
#include <filesystem>
#include <optional>
#include <string_view>
#include <vector>

#include "edge/import/place.h"

namespace latchkey::edge {

enum class ImportFormat { kAuto, kCertbot, kCaddy, kAcmeSh, kPem };

std::string_view to_string(ImportFormat format);  // as it is written on the command line
std::optional<ImportFormat> import_format_from(std::string_view word);

// Whose tree a folder is, by what is in it; kPem where it is nobody's.
ImportFormat recognise_format(const std::filesystem::path& folder);

// All places of what `paths` name, folders and files. Reads no more than it must to find them.
// kAuto: each path for itself. The order is the file system's.
void walk_imports(const std::vector<std::filesystem::path>& paths, ImportFormat format,
                  const ImportVisitor& visit);

}  // namespace latchkey::edge
