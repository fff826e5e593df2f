#pragma once
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file_watch.h"
#include "base/log.h"
#include "base/loop.h"
#include "cache/certificate_cache.h"
#include "edge/config.h"

namespace latchkey::edge {

// The operator's certificates from files and folders (config key `certificates`), watched: what
// changes is read anew in a thread of the pool and swapped into the cache within 2 s (certbot
// replaces four links one by one: a pair that does not match for the moment is looked at again). A
// broken or mismatched pair keeps the old one and says so, once for each state of its files. One
// that has expired, or expires within 7 days, is warned of, and served. Control thread.
class Configured {
 public:
  struct Pair {
    std::filesystem::path cert, key;
    friend auto operator<=>(const Pair&, const Pair&) = default;
  };
  // After each change, with all of them.
  using Changed = std::function<void(std::vector<ConfiguredCertificate>)>;

  Configured(Loop& loop, Log& log, Changed changed);
  ~Configured();
  Configured(const Configured&) = delete;

  // Reads and watches these from now on, at the start in this thread: they are served from the
  // first handshake on. What cannot be read is an error line, never a failed start.
  void set(const Config& config);

  // The files behind what is configured, for messages. A folder's own entries are in it.
  static std::vector<Pair> find_pairs(const Config& config, std::vector<std::string>& complaints);

  size_t size() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Reads a pair. Errors name the file and what is wrong with it. Any thread.
Result<CertificatePtr> read_pair(const Configured::Pair& pair);

}  // namespace latchkey::edge
