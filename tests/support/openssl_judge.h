#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace latchkey::test {

// What Debian's openssl makes of certificates, trusting one file of roots and nothing else.
// Chains are PEM, leaf first, without the root.
class OpensslJudge {
 public:
  // Keeps its files in `folder`.
  OpensslJudge(std::filesystem::path folder, std::filesystem::path root_file);

  // "": a TLS server of that name (or address) may use it. Else what `openssl verify` says against
  // it.
  std::string trouble(const std::string& chain, const std::string& name) const;
  std::string serial(const std::string& chain) const;  // hex

  // Asks where the leaf itself says, over HTTP on loopback. "good", "revoked", or what went wrong.
  std::string by_crl(const std::string& chain) const;
  std::string by_ocsp(const std::string& chain) const;

 private:
  struct Files {
    std::string leaf, issuers;
  };
  Files split(const std::string& chain) const;
  ProgramEnded run(std::vector<std::string> args) const;
  ProgramEnded verify(const Files& files, const std::vector<std::string>& more) const;

  const std::filesystem::path folder_;
  const std::filesystem::path root_file_;
};

}  // namespace latchkey::test
