#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/process.h"

namespace latchkey::test {

// Debian's certbot with folders of its own. Each call runs it to its end; a run takes some seconds.
class Certbot {
 public:
  // `ca_file`: that verifies the CA's own HTTPS; "" for a CA on plain HTTP.
  Certbot(std::filesystem::path folder, std::string directory, std::filesystem::path ca_file = {});

  // One certificate for all of them, named after the first. `how`: standalone() or webroot().
  ProgramEnded obtain(const std::vector<std::string>& names,
                      const std::vector<std::string>& how) const;
  // All of them now, in the way that they were obtained.
  ProgramEnded renew() const;
  ProgramEnded run(std::vector<std::string> args) const;

  static std::vector<std::string> standalone(uint16_t port);
  static std::vector<std::string> webroot(const std::filesystem::path& folder);

  std::filesystem::path config() const { return folder_ / "config"; }
  std::filesystem::path live() const { return config() / "live"; }

 private:
  std::filesystem::path folder_;
  std::string directory_;
  std::filesystem::path ca_file_;
};

}  // namespace latchkey::test
