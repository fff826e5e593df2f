#include <array>
#include <vector>

#include "base/file.h"
#include "edge/exporter.h"
#include "edge/pem.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxFile = 2 << 20;  // PEM of the longest chain that we take

std::string folder_of(const ServerName& name, Slot slot) {
  std::string folder = name.text();
  if (name.is_wildcard()) folder.front() = '_';
  return slot == Slot::kRsa ? folder + ".rsa" : folder;
}

struct Wanted {
  const char* file;
  std::string text;
  mode_t mode;
};

// In the order in which they are written.
std::array<Wanted, 4> files_of(const Certificate& certificate) {
  const std::vector<std::string> chain = certificate.chain_der();
  const std::string leaf = certificate_pem(chain.front());
  std::string issuers;
  for (size_t i = 1; i < chain.size(); ++i) issuers += certificate_pem(chain[i]);
  return {{{"privkey.pem", pkcs8_pem(private_key_to_der(certificate.key())), 0600},
           {"cert.pem", leaf, 0644},
           {"chain.pem", issuers, 0644},
           {"fullchain.pem", leaf + issuers, 0644}}};
}

}  // namespace

Result<bool> export_certificate(const std::filesystem::path& dir, const ServerName& name, Slot slot,
                                const Certificate& certificate,
                                const std::function<Result<>()>& before) {
  const std::filesystem::path folder = dir / folder_of(name, slot);
  bool written = false;
  for (const Wanted& wanted : files_of(certificate)) {
    const std::filesystem::path file = folder / wanted.file;
    const Result<std::string> there = read_file(file, kMaxFile);
    if (there && *there == wanted.text) continue;
    if (!written) {
      if (auto made = make_private_folder(folder); !made) return made.error();
      if (before) {
        if (auto ready = before(); !ready) return ready.error();
      }
    }
    if (auto done = rewrite_file_atomic(file, wanted.text, wanted.mode); !done) return done.error();
    written = true;
  }
  return written;
}

}  // namespace latchkey::edge
