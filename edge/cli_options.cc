#include "edge/cli_options.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

#include "edge/admin_text.h"

namespace latchkey::edge {
namespace {

bool contains(const std::vector<std::string>& list, const std::string& name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

}  // namespace

Result<CommandLine> CommandLine::read(int argc, char** argv, const CommandSyntax& syntax) {
  const auto bad = [](const std::string& why) { return Error{ErrorCode::kInvalid, why}; };
  CommandLine out;
  bool only_words = false;
  for (int i = 2; i < argc; ++i) {
    std::string name = argv[i];
    if (only_words || !name.starts_with('-')) {
      if (out.words_.size() == syntax.words) return bad("unexpected argument \"" + name + "\"");
      out.words_.push_back(std::move(name));
      continue;
    }
    if (name == "--") {
      only_words = true;
      continue;
    }
    std::string value;
    const size_t equals = name.find('=');
    const bool inline_value = equals != std::string::npos;
    if (inline_value) {
      value = name.substr(equals + 1);
      name.resize(equals);
    }
    const bool flag = contains(syntax.flags, name);
    if (!flag && !contains(syntax.options, name)) return bad("unknown option " + name);
    if (flag && inline_value) return bad(name + " takes no value");
    if (!flag && !inline_value) {
      if (++i == argc) return bad(name + " needs a value");
      value = argv[i];
    }
    out.options_[name].push_back(std::move(value));
  }
  return out;
}

std::string CommandLine::one(const std::string& name) const {
  const auto found = options_.find(name);
  return found == options_.end() ? "" : found->second.back();
}

std::vector<std::string> CommandLine::all(const std::string& name) const {
  const auto found = options_.find(name);
  return found == options_.end() ? std::vector<std::string>() : found->second;
}

int usage(const std::string& why) {
  std::fprintf(stderr, "latchkey: %s\nTry: latchkey help\n", why.c_str());
  return kUsage;
}

int complain(const Error& error, int code) {
  std::string_view text = error.message;
  while (text.ends_with('\n')) text.remove_suffix(1);
  // Files name themselves in it, and who names files may mean the terminal.
  std::fputs(printable_lines(text).c_str(), stderr);
  return code;
}

}  // namespace latchkey::edge
