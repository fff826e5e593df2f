#pragma once
#include <uv.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/file_watch.h"
#include "base/log.h"
#include "base/loop.h"
#include "cache/certificate_cache.h"
#include "edge/config.h"

namespace latchkey::edge {

// The operator's certificates from files and folders (config key `certificates`), looked at every
// 500 ms (less often where a look takes over 25 ms): what has changed, and is quiet for one look,
// is read anew in a thread of the pool and swapped into the cache, within 2 s (certbot replaces
// four links one by one: a pair that does not match for the moment is looked at again).
//
// A broken, mismatched or vanished pair keeps the old one and says so, once for each state of its
// files. It is let go when nothing is left of it in its folder: its lineage's folder, or both of
// two files side by side, are gone; or when the configuration does not name it any more. One that
// has expired, or expires within 7 days (or the last third of a shorter life), is warned of, and
// served. Of several for a name the later in the configuration counts, in a folder the one that
// ends last. Control thread.
class Configured {
 public:
  struct Pair {
    std::filesystem::path cert, key;
    friend auto operator<=>(const Pair&, const Pair&) = default;
  };
  // After each change, with all of them. Must not end us.
  using Changed = std::function<void(std::vector<ConfiguredCertificate>)>;

  Configured(Loop& loop, Log& log, Changed changed)
      : Configured(loop.uv(), loop.clock(), log, std::move(changed)) {}
  // All outlive us.
  Configured(uv_loop_t& loop, Clock& clock, Log& log, Changed changed);
  ~Configured();
  Configured(const Configured&) = delete;

  // Reads and watches these from now on, the first time in this thread, with a call of `changed`:
  // they are served from the first handshake on. Later what is new is read in the background. What
  // cannot be read is an error line, never a failed start.
  void set(const Config& config);

  // The files behind what is configured. Blocks. `complaints`: folders that cannot be read, and
  // entries of them that are not pairs.
  static std::vector<Pair> find_pairs(const Config& config, std::vector<std::string>& complaints);

  size_t size() const;  // certificates that are served

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Reads a pair. Errors name the file, what is wrong with it and the remedy. Any thread.
Result<CertificatePtr> read_pair(const Configured::Pair& pair);

// What is odd about a certificate that is served all the same: no names, a chain in disorder. ""
std::string oddity_of(const Certificate& certificate);

}  // namespace latchkey::edge
