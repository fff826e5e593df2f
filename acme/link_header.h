#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace latchkey::acme {

// The URLs of that relation in Link headers (RFC 8288), `headers` being their values: checked as
// all URLs of a CA are, each once, the first eight. What is not understood is left out.
std::vector<std::string> links_of(const std::vector<std::string>& headers,
                                  std::string_view relation);

// The other chains for a certificate, from the answer that brought it (RFC 8555, 7.4.2).
inline std::vector<std::string> alternate_links(const std::vector<std::string>& headers) {
  return links_of(headers, "alternate");
}

}  // namespace latchkey::acme
