#include <vector>

#include "base/file.h"
#include "cache/pem.h"
#include "edge/exporter.h"
#include "edge/import/files.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxFile = 2 << 20;  // PEM of the longest chain that we take

std::string folder_of(const ServerName& name, Slot slot) {
  std::string folder = name.text();
  if (name.is_wildcard()) folder.front() = '_';
  return slot == Slot::kRsa ? folder + ".rsa" : folder;
}

// In the order in which they are written.
std::vector<NewFile> files_of(const Certificate& certificate) {
  const std::vector<std::string> chain = certificate.chain_der();
  const std::string leaf = certificate_pem(chain.front());
  std::string issuers;
  for (size_t i = 1; i < chain.size(); ++i) issuers += certificate_pem(chain[i]);
  return {{"privkey.pem", pkcs8_pem(private_key_to_der(certificate.key())), 0600},
          {"cert.pem", leaf, 0644},
          {"chain.pem", issuers, 0644},
          {"fullchain.pem", leaf + issuers, 0644}};
}

}  // namespace

Result<bool> export_certificate(const std::filesystem::path& dir, const ServerName& name, Slot slot,
                                const Certificate& certificate,
                                const std::function<Result<>()>& before) {
  const std::filesystem::path folder = dir / folder_of(name, slot);
  std::vector<NewFile> files = files_of(certificate);
  std::erase_if(files, [&](const NewFile& one) {
    if (!is_file(folder / one.name)) return false;  // a pipe would keep us waiting
    const Result<std::string> there = read_file(folder / one.name, kMaxFile);
    return there && *there == one.bytes;
  });
  if (files.empty()) return false;
  if (auto made = make_private_folder(folder); !made) return made.error();
  if (before) {
    if (auto ready = before(); !ready) return ready.error();
  }
  if (auto replaced = replace_files(folder, files); !replaced) return replaced.error();
  return true;
}

}  // namespace latchkey::edge
