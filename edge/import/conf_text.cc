#include "edge/import/conf_text.h"

#include <openssl/base64.h>

#include <optional>

namespace latchkey::edge {
namespace {

constexpr size_t kMaxValue = 4096;  // bytes; a URL has less

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t from = text.find_first_not_of(kBlank);
  if (from == text.npos) return {};
  return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

// Without the quotes around it, if it has them on both sides.
std::string_view unquoted(std::string_view text) {
  if (text.size() < 2 || text.front() != text.back()) return text;
  return text.front() == '\'' || text.front() == '"' ? text.substr(1, text.size() - 2) : text;
}

// The next line; the text goes on behind it.
std::string_view next_line(std::string_view& text) {
  const size_t end = text.find('\n');
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end == text.npos ? text.size() : end + 1);
  return trimmed(line);
}

// What stands behind "key =" on the line; nullopt when it is another key's.
std::optional<std::string_view> value_on(std::string_view line, std::string_view key) {
  const size_t equals = line.find('=');
  if (equals == line.npos || trimmed(line.substr(0, equals)) != key) return {};
  return unquoted(trimmed(line.substr(equals + 1)));
}

// Text that a URL or an identifier may be: printable, one line, not without end.
std::string plain(std::string_view value) {
  if (value.size() > kMaxValue) return {};
  for (const char c : value) {
    if (c < ' ' || c > '~') return {};
  }
  return std::string(value);
}

std::string from_base64(std::string_view text) {
  size_t length = 0;
  if (text.size() > 2 * kMaxValue || !EVP_DecodedLength(&length, text.size())) return {};
  std::string out(length, '\0');
  size_t written = 0;
  if (!EVP_DecodeBase64(reinterpret_cast<uint8_t*>(out.data()), &written, out.size(),
                        reinterpret_cast<const uint8_t*>(text.data()), text.size())) {
    return {};
  }
  out.resize(written);
  return out;
}

}  // namespace

std::string certbot_parameter(std::string_view text, std::string_view key) {
  bool in_section = false;
  while (!text.empty()) {
    const std::string_view line = next_line(text);
    if (line.starts_with('[')) {
      in_section = line == "[renewalparams]";
      continue;
    }
    if (!in_section) continue;
    if (const auto value = value_on(line, key)) return plain(*value);
  }
  return {};
}

std::string acme_sh_parameter(std::string_view text, std::string_view key) {
  constexpr std::string_view kStart = "__ACME_BASE64__START_", kEnd = "__ACME_BASE64__END_";
  while (!text.empty()) {
    const auto value = value_on(next_line(text), key);
    if (!value) continue;
    if (!value->starts_with(kStart) || !value->ends_with(kEnd) ||
        value->size() < kStart.size() + kEnd.size()) {
      return plain(*value);
    }
    const std::string decoded =
        from_base64(value->substr(kStart.size(), value->size() - kStart.size() - kEnd.size()));
    return plain(trimmed(std::string_view(decoded).substr(0, decoded.find('\n'))));
  }
  return {};
}

}  // namespace latchkey::edge
