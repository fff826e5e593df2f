#include "bench/report/terminal.h"

namespace latchkey::bench {
namespace {

bool begins_character(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

// The bytes of the first `columns` characters.
size_t bytes_of(std::string_view text, size_t columns) {
  size_t at = 0;
  while (at < text.size()) {
    if (begins_character(text[at]) && columns-- == 0) break;
    ++at;
  }
  return at;
}

}  // namespace

std::string printable(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    const bool c1 = byte == 0xc2 && i + 1 < text.size() &&
                    static_cast<unsigned char>(text[i + 1]) < 0xa0;  // U+0080 to U+009F
    if (c1) ++i;
    out += c1 || byte < 0x20 || byte == 0x7f ? '?' : text[i];
  }
  return out;
}

size_t columns_of(std::string_view text) {
  size_t columns = 0;
  for (char c : text) columns += begins_character(c) ? 1 : 0;
  return columns;
}

std::string left(std::string text, size_t width) {
  const size_t columns = columns_of(text);
  return columns < width ? text + std::string(width - columns, ' ') : text;
}

std::string right(std::string text, size_t width) {
  const size_t columns = columns_of(text);
  return columns < width ? std::string(width - columns, ' ') + text : text;
}

std::vector<std::string> wrap(std::string_view text, size_t width) {
  std::vector<std::string> out;
  while (columns_of(text) > width) {
    size_t end = bytes_of(text, width);
    size_t next = end;
    const size_t space = text.substr(0, end + 1).rfind(' ');
    if (space != std::string_view::npos && space > 0) {
      end = space;
      next = space + 1;
    }
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(next);
  }
  out.emplace_back(text);
  return out;
}

}  // namespace latchkey::bench
