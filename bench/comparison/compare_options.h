#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace latchkey::bench {

// The command line of latchkey-bench-compare.
struct CompareOptions {
  std::vector<std::string> rows{};  // prefixes of ids; empty: all
  int rounds = 3;
  bool quick = false;    // as little as shows that all of it works: its figures are worth nothing
  bool million = false;  // rows that hold a million certificates in memory, too: minutes, and 4 GiB
  bool keep = false;     // the folder with configurations and logs stays
  bool list = false;     // only says which rows there are
  bool help = false;
  std::filesystem::path json{}, html{};  // empty: in bench/results, by date; "-": stdout

  bool wants(std::string_view row) const;
};

// Errors are for the terminal: which option is wrong, and what it should be.
Result<CompareOptions> parse_compare_options(const std::vector<std::string>& arguments);
std::string compare_help();

}  // namespace latchkey::bench
