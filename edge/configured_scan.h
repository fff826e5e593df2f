#pragma once
#include <filesystem>
#include <string>
#include <vector>

#include "edge/configured.h"

namespace latchkey::edge {

// One entry of the key `certificates`: a pair, or a folder of them.
struct ConfiguredSource {
  Configured::Pair pair{};    // where there is no folder
  std::filesystem::path dir;  // "": a pair

  // Was, or could have been, a pair of this one.
  bool holds(const Configured::Pair& one) const;
};

// What lies there.
struct ConfiguredScan {
  struct Entry {
    size_t source = 0;  // its place in the configuration
    Configured::Pair pair{};
    std::string print{};  // of both files; they may be missing
  };
  std::vector<Entry> entries;           // by source, then by path; each pair once
  std::vector<std::string> complaints;  // about folders, and entries that are not pairs
};

std::vector<ConfiguredSource> configured_sources(const Config& config);

// Blocks; any thread. `known`: pairs that were found before. One of those is found again, whatever
// its files are like by now, as long as something of it is there (its lineage's folder, one of two
// files side by side), or the folder of all cannot be read. One in the configuration always is.
ConfiguredScan scan_configured(const std::vector<ConfiguredSource>& sources,
                               const std::vector<Configured::Pair>& known);

}  // namespace latchkey::edge
