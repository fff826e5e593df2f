// The allowlist of a million lines beside the plain way to keep one, std::unordered_set: time to
// load, memory, time of a look-up. Both parse lines by the same rules.
#include "policy/allowlist.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "base/server_name.h"

namespace latchkey::bench {
namespace {

constexpr double kMaxLoad = 1000, kMaxBytes = 64;  // ms for a million lines; bytes a line
constexpr int kLookUps = 200'000;
constexpr int kRounds = 5;  // of which the fastest counts: the machine may be busy

// Of CPU: what else the machine does is not our matter.
class Timer {
 public:
  double ms() const { return now() - start_; }

 private:
  static double now() {
    timespec time{};
    ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
  }
  const double start_ = now();
};
double heap_bytes() {
  const auto info = ::mallinfo2();
  return static_cast<double>(info.uordblks + info.hblkhd);
}

// One line in ten is a suffix.
std::string line_of(int i) {
  return (i % 10 == 0 ? "*.tenant-" : "shop-") + std::to_string(i) + ".customers.example.com";
}

class StandardSets {
 public:
  explicit StandardSets(const std::filesystem::path& file) {
    std::ifstream in(file);
    for (std::string line; std::getline(in, line);) {
      auto entry = Allowlist::parse_entry(line);
      if (entry) (entry->suffix ? suffixes_ : exact_).insert(std::move(entry->name));
    }
  }
  bool contains(const ServerName& name) const {
    if (exact_.contains(name.text())) return true;
    std::string_view rest = name.text();
    for (size_t dot = rest.find('.'); dot != rest.npos; dot = rest.find('.')) {
      rest.remove_prefix(dot + 1);
      if (suffixes_.find(rest) != suffixes_.end()) return true;
    }
    return false;
  }

 private:
  struct Hash {
    using is_transparent = void;  // NOLINT(readability-identifier-naming): the library's name
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Set = std::unordered_set<std::string, Hash, std::equal_to<>>;
  Set exact_, suffixes_;
};

struct Measured {
  double load = 0, bytes = 0;            // ms; bytes a line
  double hit = 0, suffix = 0, miss = 0;  // ns a look-up
};

struct LookUps {
  std::vector<ServerName> hits, suffixes, misses;
};

LookUps make_look_ups(int lines) {
  std::minstd_rand random(1);
  const auto name = [](const std::string& text) { return *ServerName::parse(text); };
  LookUps out;
  for (int i = 0; i < kLookUps; ++i) {
    const int tens = static_cast<int>(random() % static_cast<unsigned>(lines)) / 10 * 10;
    out.hits.push_back(name(line_of(std::min(tens + 1 + i % 9, lines - 1))));
    out.suffixes.push_back(name("www" + line_of(tens).substr(1)));
    out.misses.push_back(name("wrong-" + std::to_string(random()) + ".customers.example.com"));
  }
  return out;
}

template <typename Contains>
double ns_each(const std::vector<ServerName>& names, bool expected, Contains contains) {
  double best = 1e9;
  for (int round = 0; round < kRounds; ++round) {
    const Timer timer;
    size_t found = 0;
    for (const ServerName& name : names) found += contains(name) ? 1 : 0;
    best = std::min(best, timer.ms() * 1e6 / static_cast<double>(names.size()));
    if (found != (expected ? names.size() : 0)) {
      std::fprintf(stderr, "a look-up was wrong: %zu of %zu found\n", found, names.size());
      std::exit(1);
    }
  }
  return best;
}

// `load` makes what `contains` is asked about.
template <typename Load, typename Contains>
Measured measure(int lines, const LookUps& names, Load load, Contains contains) {
  Measured out;
  out.load = 1e9;
  decltype(load()) loaded{};
  for (int round = 0; round < kRounds; ++round) {
    loaded = {};
    const double before = heap_bytes();
    const Timer timer;
    loaded = load();
    out.load = std::min(out.load, timer.ms());
    out.bytes = (heap_bytes() - before) / lines;
  }
  const auto find = [&](const ServerName& name) { return contains(*loaded, name); };
  out.hit = ns_each(names.hits, true, find);
  out.suffix = ns_each(names.suffixes, true, find);
  out.miss = ns_each(names.misses, false, find);
  return out;
}

int run(int lines) {
  const std::filesystem::path file =
      std::filesystem::temp_directory_path() / ("latchkey-names-" + std::to_string(::getpid()));
  {
    std::ofstream out(file);
    for (int i = 0; i < lines; ++i) out << line_of(i) << '\n';
  }
  const double text = static_cast<double>(std::filesystem::file_size(file)) / lines;
  const LookUps names = make_look_ups(lines);
  const Measured ours = measure(
      lines, names,
      [&] {
        std::vector<Allowlist::BadLine> bad;
        return *Allowlist::load({}, {file}, bad);
      },
      [](const Allowlist& list, const ServerName& name) {
        return list.find(name) != Allowlist::Match::kNone;
      });
  const Measured standard = measure(
      lines, names, [&] { return std::make_unique<StandardSets>(file); },
      [](const StandardSets& sets, const ServerName& name) { return sets.contains(name); });
  std::filesystem::remove(file);

  std::printf("allowlist: %d lines of %.0f bytes, one in ten a suffix; the best of %d rounds\n",
              lines, text, kRounds);
  std::printf("%-28s %12s %22s\n", "", "Allowlist", "std::unordered_set");
  const auto row = [](const char* what, double a, double b) {
    std::printf("%-28s %12.1f %22.1f\n", what, a, b);
  };
  row("load, ms of CPU", ours.load, standard.load);
  row("memory, bytes a line", ours.bytes, standard.bytes);
  row("look-up, listed, ns", ours.hit, standard.hit);
  row("look-up, below a suffix, ns", ours.suffix, standard.suffix);
  row("look-up, not listed, ns", ours.miss, standard.miss);
  const bool fast = ours.load * 1e6 / lines <= kMaxLoad, small = ours.bytes <= kMaxBytes;
  std::printf("bounds (a million lines in %.0f ms of CPU, %.0f bytes a line): %s\n", kMaxLoad,
              kMaxBytes, fast && small ? "kept" : "BROKEN");
  return fast && small ? 0 : 1;
}

}  // namespace
}  // namespace latchkey::bench

int main(int argc, char** argv) {
  const int lines = argc > 1 ? std::atoi(argv[1]) : 1'000'000;
  if (lines < 100) {
    std::fprintf(stderr, "usage: %s [LINES]   (100 or more)\n", argv[0]);
    return 2;
  }
  return latchkey::bench::run(lines);
}
