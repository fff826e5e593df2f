#pragma once
#include <filesystem>
#include <optional>
#include <string>

#include "tests/support/process.h"

namespace latchkey::test {

// Debian's nginx with a folder of its own, as the user who runs the tests.
class Nginx {
 public:
  // `servers`: what stands within http {}.
  Nginx(std::filesystem::path folder, const std::string& servers);

  ~Nginx();

  // The file with its process ID: HUP makes it read its files again.
  std::filesystem::path pid_file() const { return folder_ / "nginx.pid"; }
  std::string log() const { return process_->output(); }

 private:
  std::filesystem::path folder_;
  std::optional<Process> process_;
};

}  // namespace latchkey::test
