// What parses is clean, and parses to itself; its wildcard covers it.

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/server_name.h"

namespace {

using latchkey::ServerName;

void check(bool good) {
  if (!good) std::abort();
}

void check_is(const latchkey::Result<ServerName>& parsed, const ServerName& name) {
  check(parsed.has_value() && *parsed == name);
}

void check_clean(std::string_view text) {
  check(!text.empty() && text.size() <= 253);
  for (const char c : text) {
    check((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.');
  }
}

void check_name(const ServerName& name) {
  check_clean(name.text());
  check_is(ServerName::parse(name.text()), name);
  check(!name.is_wildcard() && !name.is_ip());
  check(name.labels() > 0 && name.parent().size() < name.text().size());
  const auto wildcard = name.wildcard();
  if (wildcard) check(wildcard->is_wildcard() && wildcard->parent() == name.parent());
  check(wildcard.has_value() || name.labels() == 1 || name.parent().size() > 251);
}

void check_wildcard(const ServerName& wildcard) {
  check(wildcard.is_wildcard() && !wildcard.is_ip() && wildcard.text().size() <= 253);
  check_clean(wildcard.parent());
  check_is(ServerName::parse_wildcard(wildcard.text()), wildcard);
  check(!ServerName::parse(wildcard.text()) && !wildcard.wildcard());
  check(ServerName::parse("a." + std::string(wildcard.parent()))->wildcard() == wildcard);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto name = ServerName::parse(text)) check_name(*name);
  if (const auto wildcard = ServerName::parse_wildcard(text)) check_wildcard(*wildcard);
  return 0;
}
