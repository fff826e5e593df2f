// Whatever a CA answers when it is asked for a renewal window: a window begins before it ends, and
// complaints are short lines.

#include <cstdint>
#include <cstdlib>

#include "acme/ca_url.h"
#include "acme/renewal_info.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

void check(std::string_view body) {
  using namespace latchkey::acme;
  const auto info = RenewalInfo::parse("https://ca.test/renewal/1", body);
  if (!info) {
    require(info.error().message.size() <= 1024);
    return;
  }
  require(info->window.start < info->window.end);
  const std::string& page = info->explanation_url;
  require(page.empty() || check_ca_url("it", page).has_value());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  check(text);
  // The input as two dates.
  const size_t half = size / 2;
  check(R"({"suggestedWindow":{"start":")" + text.substr(0, half) + R"(","end":")" +
        text.substr(half) + R"("}})");
  return 0;
}
