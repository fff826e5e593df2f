// What parses is clean, and parses to itself.

#include <cstdint>
#include <cstdlib>

#include "base/server_name.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using latchkey::ServerName;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto name = ServerName::parse(text);
  if (!name) return 0;
  const auto again = ServerName::parse(name->text());
  if (!again || *again != *name || name->text().size() > 253 || name->text().empty()) std::abort();
  for (const char c : name->text()) {
    const bool ok = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.';
    if (!ok) std::abort();
  }
  if (name->labels() == 0 || name->parent().size() >= name->text().size()) std::abort();
  return 0;
}
