// Whatever stands in a CA's Link headers, at most eight URLs come of it, and each may be asked.

#include <cstdint>
#include <cstdlib>

#include "acme/ca_url.h"
#include "acme/link_header.h"

namespace {

void require(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace latchkey::acme;
  const std::string text(reinterpret_cast<const char*>(data), size);
  const size_t half = size / 2;
  for (const char* relation : {"alternate", "terms-of-service"}) {
    const auto urls = links_of({text, text.substr(half), text.substr(0, half)}, relation);
    require(urls.size() <= 8);
    for (const std::string& url : urls) require(check_ca_url("it", url).has_value());
  }
  // A proper link in a header of its own is found whatever stands in the others.
  const std::string good = "https://ca.test/good";
  const auto urls = links_of({"<" + good + ">;rel=\"alternate\"", text}, "alternate");
  require(!urls.empty() && urls.front() == good);
  return 0;
}
