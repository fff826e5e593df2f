#include "edge/import/pem.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "cache/certificate.h"
#include "cache/private_key.h"
#include "cache/secret_box.h"
#include "edge/import/files.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 1;         // folders in the folder
constexpr size_t kMaxKeyFiles = 16;  // named one by one, that may be a certificate's key

constexpr std::string_view kCertificateMark = "-----BEGIN CERTIFICATE-----";
constexpr std::string_view kOldCertificateMark = "-----BEGIN X509 CERTIFICATE-----";

bool has_certificate(std::string_view pem) {
  return pem.find(kCertificateMark) != pem.npos || pem.find(kOldCertificateMark) != pem.npos;
}

// PKCS#8, SEC1, PKCS#1, encrypted ones: "-----BEGIN EC PRIVATE KEY-----".
bool has_key(std::string_view pem) {
  return pem.find(" PRIVATE KEY-----") != pem.npos;
}

// May the file hold a certificate, going by its name?
bool may_hold_certificate(const fs::path& file) {
  constexpr std::array<std::string_view, 5> kEndings{".crt", ".cer", ".pem", ".cert", ".chain"};
  const std::string ending = file.extension().string();
  const std::string stem = file.stem().string();
  if (std::find(kEndings.begin(), kEndings.end(), ending) == kEndings.end()) return false;
  const auto is_key = [&](std::string_view word) {
    return stem == word || stem.ends_with("." + std::string(word)) ||
           stem.ends_with("-" + std::string(word));
  };
  return !is_key("key") && !is_key("privkey") && stem != "chain" && stem != "ca";
}

// Where the key of a certificate in `file` may be.
std::vector<fs::path> key_files_of(const fs::path& file) {
  const fs::path folder = file.parent_path();
  std::string stem = file.stem().string();
  std::vector<fs::path> out;
  const auto add = [&](const std::string& name) {
    if (folder / name != file) out.push_back(folder / name);
  };
  add(stem + ".key");
  add(stem + "-key.pem");
  add(stem + ".key.pem");
  for (const std::string_view word : {"fullchain", "cert", "crt", "bundle"}) {
    const std::string tail(word);
    if (stem == word) {
      add("privkey.pem");
      add("key.pem");
      add("privkey.key");
      add(folder.filename().string() + ".key");
    } else if (stem.ends_with("." + tail) || stem.ends_with("-" + tail)) {
      const std::string base = stem.substr(0, stem.size() - tail.size() - 1);
      add(base + ".key");
      add(base + ".privkey.pem");
      add(base + ".key.pem");
      add(base + "-key.pem");
    }
  }
  return out;
}

// cert.pem has the leaf alone; the rest of the chain is in another file beside it.
std::optional<std::string> with_chain(const fs::path& file, std::string pem) {
  if (file.stem() != "cert") return pem;
  const std::string ending = file.extension().string();
  if (is_file(file.parent_path() / ("fullchain" + ending))) return {};
  if (const auto chain = read_import_file(file.parent_path() / ("chain" + ending))) {
    pem += "\n" + *chain;
  }
  return pem;
}

void read_pair(const fs::path& file, const std::vector<fs::path>& keys, ImportFindings& into) {
  Result<std::string> pem = read_import_file(file);
  if (!pem) return into.damaged(file, pem.error().message);
  if (!has_certificate(*pem)) {
    const bool other = pem->find("-----BEGIN ") != std::string::npos;  // a key, DH parameters
    return other ? into.skip(file, "there is no certificate in it")
                 : into.damaged(file, "there is no PEM in it");
  }
  ImportEntry entry;
  entry.path = file.string();
  if (has_key(*pem)) {
    entry.key_pem = *pem;
  } else {
    for (const fs::path& key : keys) {
      if (!is_file(key)) continue;
      Result<std::string> found = read_import_file(key);
      if (!found) return into.damaged(file, found.error().message);
      entry.key_pem = *std::move(found);
      break;
    }
  }
  std::optional<std::string> chain = with_chain(file, *std::move(pem));
  if (!chain) return wipe(entry.key_pem);  // its fullchain is read, too
  if (entry.key_pem.empty()) return into.skip(file, "no private key is in it, or beside it");
  entry.chain_pem = *std::move(chain);
  into.entries.push_back(std::move(entry));
}

bool walk_folder(const fs::path& folder, int depth, const ImportVisitor& visit) {
  bool more = true;
  const Result<> listed = each_name_in(folder, [&](const std::string& name) {
    const fs::path path = folder / name;
    if (is_folder(path)) {
      if (depth < kMaxDepth) more = walk_folder(path, depth + 1, visit);
    } else if (may_hold_certificate(path)) {
      more = visit([path](ImportFindings& into) { read_pair(path, key_files_of(path), into); });
    }
    return more;
  });
  if (!listed) more = visit(damaged_place(folder, listed.error().message));
  return more;
}

// Of files that were named one by one: the key that is the certificate's, else its own candidates.
void read_named(const fs::path& file, const std::vector<fs::path>& keys, ImportFindings& into) {
  std::vector<fs::path> fitting;
  const Result<std::string> chain = read_import_file(file);
  for (const fs::path& key : keys) {
    Result<std::string> pem = read_import_file(key);
    if (!chain || !pem) continue;
    Result<PrivateKey> parsed = private_key_from_pem(*pem);
    wipe(*pem);
    if (parsed && Certificate::from_pem(*chain, *std::move(parsed))) fitting.push_back(key);
  }
  // A pair that was named as one, and does not fit, is to be complained about.
  if (fitting.empty() && keys.size() == 1) fitting = keys;
  if (fitting.empty()) fitting = key_files_of(file);
  read_pair(file, fitting, into);
}

}  // namespace

void walk_pem(const fs::path& root, const ImportVisitor& visit) {
  walk_folder(root, 0, visit);
}

void walk_pem_files(const std::vector<fs::path>& files, const ImportVisitor& visit) {
  std::vector<fs::path> keys, others;
  for (const fs::path& file : files) {
    Result<std::string> pem = read_import_file(file);
    const bool only_key = pem && has_key(*pem) && !has_certificate(*pem);
    if (pem) wipe(*pem);
    if (!only_key) {
      others.push_back(file);
    } else if (keys.size() < kMaxKeyFiles) {
      keys.push_back(file);
    }
  }
  for (const fs::path& file : others) {
    if (!visit([file, keys](ImportFindings& into) { read_named(file, keys, into); })) return;
  }
  if (others.empty()) {
    for (const fs::path& key : keys) {
      visit([key](ImportFindings& into) { into.skip(key, "a private key without a certificate"); });
    }
  }
}

}  // namespace latchkey::edge
