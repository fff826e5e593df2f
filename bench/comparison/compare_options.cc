#include "bench/comparison/compare_options.h"

#include <algorithm>
#include <charconv>

namespace latchkey::bench {
namespace {

Error wrong(std::string message) {
  return {ErrorCode::kInvalid, std::move(message)};
}

Result<> take_rows(const std::string& text, std::vector<std::string>& rows) {
  for (size_t at = 0; at <= text.size();) {
    const size_t end = std::min(text.find(',', at), text.size());
    if (end == at) return wrong("--rows: expected prefixes of rows' ids, got \"" + text + "\"");
    rows.push_back(text.substr(at, end - at));
    at = end + 1;
  }
  return Unit{};
}

Result<> take_rounds(const std::string& text, int& rounds) {
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), rounds);
  if (failed != std::errc() || end != text.data() + text.size() || rounds < 1 || rounds > 100) {
    return wrong("--rounds: expected a number from 1 to 100, got \"" + text + "\"");
  }
  return Unit{};
}

}  // namespace

bool CompareOptions::wants(std::string_view row) const {
  return rows.empty() || std::any_of(rows.begin(), rows.end(), [row](const std::string& prefix) {
           return row.starts_with(prefix);
         });
}

Result<CompareOptions> parse_compare_options(const std::vector<std::string>& arguments) {
  CompareOptions out;
  out.rounds = 0;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const std::string& option = arguments[i];
    bool* flag = option == "--quick"                    ? &out.quick
                 : option == "--million"                ? &out.million
                 : option == "--keep"                   ? &out.keep
                 : option == "--list"                   ? &out.list
                 : option == "--help" || option == "-h" ? &out.help
                                                        : nullptr;
    if (flag != nullptr) {
      *flag = true;
      continue;
    }
    const bool known =
        option == "--rows" || option == "--rounds" || option == "--json" || option == "--html";
    if (!known) return wrong("there is no option \"" + option + "\"; --help shows them all");
    if (++i == arguments.size()) return wrong(option + " needs a value");
    const std::string& value = arguments[i];
    if (option == "--json") out.json = value;
    if (option == "--html") out.html = value;
    if (option == "--rows") {
      if (auto taken = take_rows(value, out.rows); !taken) return taken.error();
    }
    if (option == "--rounds") {
      if (auto taken = take_rounds(value, out.rounds); !taken) return taken.error();
    }
  }
  if (out.rounds == 0) out.rounds = out.quick ? 1 : CompareOptions().rounds;
  return out;
}

std::string compare_help() {
  return R"(bench/compare: Latchkey beside its peers, one worker on one core each, as ratios.

  --rows PREFIX,...   only rows whose id begins so; --list shows them
  --rounds N          how often each server's turn comes (default 3)
  --quick             as little as shows that everything works; the figures are worth nothing
  --million           also with a million certificates in memory: some minutes more, and 4 GiB
  --json FILE         default bench/results/DATE.json; - is the standard output
  --html FILE         default bench/results/DATE.html
  --keep              leaves configurations and logs where they are, and says where
)";
}

}  // namespace latchkey::bench
