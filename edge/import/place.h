#pragma once
#include <filesystem>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "edge/import/entry.h"

namespace latchkey::edge {

// What reading a place of a tree has found.
struct ImportFindings {
  std::vector<ImportEntry> entries;
  std::vector<ImportAccount> accounts;
  std::vector<ImportSkip> skips;

  void skip(const std::filesystem::path& path, std::string why) {
    skips.push_back({path.string(), std::move(why), false});
  }
  void damaged(const std::filesystem::path& path, std::string why) {
    skips.push_back({path.string(), std::move(why), true});
  }
};

// One place of a tree, most often the folder of one certificate: to be read later, on any thread,
// and perhaps twice. Small: a tree may have a million.
using ImportPlace = std::function<void(ImportFindings& into)>;

// Takes each place as a walk finds it. False: no more are wanted.
using ImportVisitor = std::function<bool(ImportPlace place)>;

// A place of which no more can be said than this.
inline ImportPlace damaged_place(std::filesystem::path path, std::string why) {
  return [path = std::move(path), why = std::move(why)](ImportFindings& into) {
    into.damaged(path, why);
  };
}

}  // namespace latchkey::edge
