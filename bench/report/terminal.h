#pragma once
// Lines and columns of a terminal.

#include <string>
#include <string_view>
#include <vector>

#include "bench/report/text.h"

namespace latchkey::bench {

// Text from outside without what a terminal would obey.
std::string printable(std::string_view text);
size_t columns_of(std::string_view text);  // characters, not bytes
std::string left(std::string text, size_t width);
std::string right(std::string text, size_t width);
// Broken between words; a word that is longer than a line is broken within.
std::vector<std::string> wrap(std::string_view text, size_t width);

// As it is, or between the escapes of a colour.
class Paint {
 public:
  explicit Paint(Colours colours) : on_(colours == Colours::kAnsi) {}
  std::string bold(const std::string& text) const { return in("1", text); }
  std::string dim(const std::string& text) const { return in("2", text); }
  std::string good(const std::string& text) const { return in("32", text); }
  std::string bad(const std::string& text) const { return in("1;31", text); }
  std::string unsure(const std::string& text) const { return in("33", text); }

 private:
  std::string in(const char* code, const std::string& text) const {
    return on_ ? std::string("\x1b[") + code + "m" + text + "\x1b[0m" : text;
  }
  bool on_;
};

}  // namespace latchkey::bench
