#include "bench/servers/flags.h"

#include <algorithm>
#include <charconv>

namespace latchkey::bench {
namespace {

bool among(const std::vector<std::string>& names, const std::string& name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Error bad(const std::string& what) {
  return Error{ErrorCode::kInvalid, what};
}

}  // namespace

Result<Flags> Flags::parse(int argc, const char* const* argv, const Known& known) {
  Flags out;
  for (int i = 1; i < argc; ++i) {
    const std::string name = argv[i];
    std::string value;
    if (among(known.required, name)) {
      if (++i == argc) return bad(name + " needs a value");
      value = argv[i];
    } else if (!among(known.switches, name)) {
      std::string all;
      for (const auto& option : known.required) all += " " + option + " VALUE";
      for (const auto& option : known.switches) all += " [" + option + "]";
      return bad("unknown option \"" + name + "\"; expected:" + all);
    }
    if (!out.values_.emplace(name, value).second) return bad(name + " is given twice");
  }
  for (const auto& name : known.required) {
    if (!out.has(name)) return bad(name + " is missing");
  }
  return out;
}

Result<size_t> Flags::number(const std::string& name, size_t max) const {
  const std::string& text = value(name);
  size_t out = 0;
  const auto [at, error] = std::from_chars(text.data(), text.data() + text.size(), out);
  if (error != std::errc() || at != text.data() + text.size() || out > max) {
    return bad(name + ": expected a whole number up to " + std::to_string(max) + ", got \"" + text +
               "\"");
  }
  return out;
}

}  // namespace latchkey::bench
