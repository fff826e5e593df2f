#include "edge/import/format.h"

#include <algorithm>
#include <iterator>

#include "edge/import/acme_sh.h"
#include "edge/import/caddy.h"
#include "edge/import/certbot.h"
#include "edge/import/files.h"
#include "edge/import/pem.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWords[] = {"auto", "certbot", "caddy", "acme.sh", "pem"};

void walk_folder(const fs::path& folder, ImportFormat format, const ImportVisitor& visit) {
  switch (format) {
    case ImportFormat::kCertbot:
      return walk_certbot(folder, visit);
    case ImportFormat::kCaddy:
      return walk_caddy(folder, visit);
    case ImportFormat::kAcmeSh:
      return walk_acme_sh(folder, visit);
    case ImportFormat::kPem:
      return walk_pem(folder, visit);
    case ImportFormat::kAuto:
      return walk_folder(folder, recognise_format(folder), visit);
  }
}

}  // namespace

std::string_view to_string(ImportFormat format) {
  return kWords[static_cast<size_t>(format)];
}

std::optional<ImportFormat> import_format_from(std::string_view word) {
  const auto* const found = std::find(std::begin(kWords), std::end(kWords), word);
  if (found == std::end(kWords)) return {};
  return static_cast<ImportFormat>(std::distance(std::begin(kWords), found));
}

ImportFormat recognise_format(const fs::path& folder) {
  if (looks_like_certbot(folder)) return ImportFormat::kCertbot;
  if (looks_like_caddy(folder)) return ImportFormat::kCaddy;
  if (looks_like_acme_sh(folder)) return ImportFormat::kAcmeSh;
  return ImportFormat::kPem;
}

void walk_imports(const std::vector<fs::path>& paths, ImportFormat format,
                  const ImportVisitor& visit) {
  bool more = true;
  const ImportVisitor counted = [&](ImportPlace place) { return more = visit(std::move(place)); };
  std::vector<fs::path> files;
  for (const fs::path& path : paths) {
    if (!more) return;
    if (is_folder(path)) {
      walk_folder(path, format, counted);
    } else {
      files.push_back(path);
    }
  }
  if (more && !files.empty()) walk_pem_files(files, counted);
}

}  // namespace latchkey::edge
