#pragma once
#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/sip_hash.h"
#include "edge/config.h"

namespace latchkey::edge {

// What the files held, by hash, that a process reads as it starts and does not take anew at a
// reload: a token that was rotated must not go unnoticed. The hash's key is of this process;
// nothing of the files is kept, and nothing of it is to be logged.
class FilePrints {
 public:
  explicit FilePrints(const Config& config) : prints_(read(config)) {}

  // The keys whose file is the same one, by its path, with another content by now.
  std::vector<std::string> changed(const Config& now) const;

 private:
  struct Print {
    std::filesystem::path file;
    uint64_t hash = 0;  // 0 for one that cannot be read
  };
  using Prints = std::map<std::string, Print>;  // by key

  Prints read(const Config& config) const;

  const SipHash::Key key_ = SipHash::random_key();
  const Prints prints_;
};

}  // namespace latchkey::edge
