#include "edge/configured_scan.h"

#include <algorithm>
#include <set>
#include <system_error>

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxPairs = 100'000;  // 3 KiB each once they are read
constexpr const char* kChain = "fullchain.pem";
constexpr const char* kKey = "privkey.pem";

// A link that leads nowhere is there, too.
bool is_there(const fs::path& file) {
  std::error_code ignored;
  return fs::exists(fs::symlink_status(file, ignored));
}

class Folder {
 public:
  Folder(const fs::path& dir, const std::vector<Configured::Pair>& known) : dir_(dir) {
    for (const Configured::Pair& pair : known) {
      if (ConfiguredSource{{}, dir}.holds(pair)) known_.insert(pair);
    }
  }

  void read(ConfiguredScan& scan) {
    std::error_code error;
    fs::directory_iterator entries(dir_, error);
    for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
      look_at(*entries, scan);
    }
    if (error) {
      pairs_.insert(known_.begin(), known_.end());
      std::string why = "the folder " + dir_.string() + " cannot be read: " + error.message();
      if (error == std::errc::permission_denied) why += " (the service's user must be allowed to)";
      scan.complaints.push_back(std::move(why));
      return;
    }
    for (const Configured::Pair& pair : known_) {
      const bool lineage = pair.cert.parent_path() != dir_;
      if (lineage ? is_there(pair.cert.parent_path()) : is_there(pair.cert) || is_there(pair.key)) {
        pairs_.insert(pair);
      }
    }
    if (pairs_.empty()) {
      scan.complaints.push_back("the folder " + dir_.string() +
                                " holds no certificates: expected NAME/fullchain.pem with "
                                "NAME/privkey.pem, or NAME.crt (or .pem) with NAME.key");
    }
  }
  const std::set<Configured::Pair>& pairs() const { return pairs_; }

 private:
  void look_at(const fs::directory_entry& entry, ConfiguredScan& scan) {
    const fs::path& path = entry.path();
    // Hidden ones are other programs' workings: a mounted Secret's ..data, an editor's copies.
    if (path.filename().string().starts_with('.')) return;
    std::error_code ignored;
    if (path.extension() == ".key") {
      Configured::Pair pair{fs::path(path).replace_extension(".crt"), path};
      if (!is_there(pair.cert)) pair.cert.replace_extension(".pem");
      if (is_there(pair.cert)) {
        pairs_.insert(std::move(pair));
      } else if (!knows_key(path)) {
        scan.complaints.push_back(path.string() + " has no certificate beside it: expected " +
                                  path.stem().string() + ".crt or " +
                                  pair.cert.filename().string());
      }
    } else if (entry.is_directory(ignored)) {
      Configured::Pair pair{path / kChain, path / kKey};
      if (is_there(pair.cert) || is_there(pair.key)) pairs_.insert(std::move(pair));
    }
  }
  bool knows_key(const fs::path& key) const {
    return std::any_of(known_.begin(), known_.end(),
                       [&](const Configured::Pair& pair) { return pair.key == key; });
  }

  const fs::path& dir_;
  std::set<Configured::Pair> known_, pairs_;
};

}  // namespace

bool ConfiguredSource::holds(const Configured::Pair& one) const {
  if (dir.empty()) return one == pair;
  const fs::path folder = one.cert.parent_path();
  return folder == dir || folder.parent_path() == dir;
}

std::vector<ConfiguredSource> configured_sources(const Config& config) {
  std::vector<ConfiguredSource> sources;
  sources.reserve(config.certificates.size());
  for (const ConfiguredFiles& files : config.certificates) {
    ConfiguredSource& source = sources.emplace_back();
    if (files.dir) {
      source.dir = config.file(*files.dir).lexically_normal();
      if (!source.dir.has_filename()) source.dir = source.dir.parent_path();  // "a/" is "a"
    } else if (files.pair) {
      source.pair.cert = config.file(files.pair->cert_file);
      source.pair.key = config.file(files.pair->key_file);
    }
  }
  return sources;
}

ConfiguredScan scan_configured(const std::vector<ConfiguredSource>& sources,
                               const std::vector<Configured::Pair>& known) {
  ConfiguredScan scan;
  std::set<Configured::Pair> seen;
  bool too_many = false;
  const auto add = [&](size_t source, const Configured::Pair& pair) {
    if (seen.size() >= kMaxPairs) {
      too_many = true;
    } else if (seen.insert(pair).second) {
      scan.entries.push_back({source, pair, file_print(pair.cert) + "/" + file_print(pair.key)});
    }
  };
  for (size_t place = 0; place < sources.size(); ++place) {
    const ConfiguredSource& source = sources[place];
    if (source.dir.empty()) {
      add(place, source.pair);
      continue;
    }
    Folder folder(source.dir, known);
    folder.read(scan);
    for (const Configured::Pair& pair : folder.pairs()) add(place, pair);
  }
  if (too_many) {
    scan.complaints.push_back("over " + std::to_string(kMaxPairs) +
                              " certificates are configured: the rest is left out");
  }
  return scan;
}

std::vector<Configured::Pair> Configured::find_pairs(const Config& config,
                                                     std::vector<std::string>& complaints) {
  ConfiguredScan scan = scan_configured(configured_sources(config), {});
  for (std::string& complaint : scan.complaints) complaints.push_back(std::move(complaint));
  std::vector<Pair> pairs;
  pairs.reserve(scan.entries.size());
  for (ConfiguredScan::Entry& entry : scan.entries) pairs.push_back(std::move(entry.pair));
  return pairs;
}

}  // namespace latchkey::edge
