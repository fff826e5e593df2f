#pragma once
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"

namespace latchkey {

// Names that are wanted without asking: exact ones, and "*.suffix" (any depth below the suffix,
// not the suffix itself). Immutable; <= 64 bytes a name over a million names.
class Allowlist {
 public:
  enum class Match { kNone, kSuffix, kExact };

  // One entry as it is written: "shop.example.com" or "*.example.net".
  struct Entry {
    std::string name;  // without the "*."
    bool suffix = false;
  };

  struct BadLine {
    std::string where;  // "domains.txt:17", or "on_demand.allow[2]"
    std::string what;   // the rule it breaks
  };

  // The error (kInvalid) names the rule that `text` breaks.
  static Result<Entry> parse_entry(std::string_view text);

  // `entries`: from the configuration. `files`: one entry a line, '#' starts a comment, blanks
  // ignored; a file that cannot be read is an error (kIo) with its remedy, a bad line is reported
  // and skipped (of each file the first 100, then a count). Blocks: half a second for a million.
  // `exact`: names that are in it besides, IP addresses too, which entries and lines cannot be.
  static Result<std::shared_ptr<const Allowlist>> load(
      const std::vector<std::string>& entries, const std::vector<std::filesystem::path>& files,
      std::vector<BadLine>& bad_lines, const std::vector<ServerName>& exact = {});
  ~Allowlist();
  Allowlist(const Allowlist&) = delete;

  Match find(const ServerName& name) const;
  size_t size() const;  // different entries
  // The good lines of each file, in the order of the files.
  const std::vector<size_t>& lines_of_files() const;
  size_t bytes() const;  // of memory

 private:
  struct Impl;
  explicit Allowlist(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey
