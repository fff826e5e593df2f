// Any text is a value or an error with its place; any bytes become one line of valid JSON.

#include <cstdint>
#include <cstdlib>

#include "base/json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace latchkey;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const JsonDialect dialect : {JsonDialect::kStrict, JsonDialect::kConfig}) {
    const auto value = parse_json(text, dialect);
    if (!value && value.error().message.empty()) std::abort();
    if (value) json_show(*value, 40);
  }
  const std::string quoted = json_quote(text);
  if (quoted.find('\n') != std::string::npos || !parse_json(quoted)) std::abort();
  parse_duration(text);
  parse_size(text);
  return 0;
}
