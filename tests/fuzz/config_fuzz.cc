// Any text is a configuration or errors that say where; what is a configuration is one again when
// it is shown, and the same one.

#include <cstdint>
#include <cstdlib>

#include "edge/config.h"
#include "edge/config_read.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace latchkey::edge;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto config = parse_config(text, "fuzz.json");
  if (!config) {
    if (config.error().message.empty()) std::abort();
    return 0;
  }
  const std::string shown = write_config(*config, true);
  const auto again = parse_config(shown, "shown.json");
  if (!again || write_config(*again, true) != shown) std::abort();
  if (!changed_keys(*config, *again).empty()) std::abort();
  if (!check_routes(*config)) std::abort();
  return 0;
}
