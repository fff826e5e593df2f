// A PROXY header is read the same however it is cut into reads, and never beyond its bound.

#include <cstdint>
#include <cstdlib>

#include "edge/proxy_header.h"

namespace {

using latchkey::edge::kMaxProxyHeader;
using latchkey::edge::ProxyHeader;
using latchkey::edge::read_proxy_header;

void expect(bool holds) {
  if (!holds) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const ProxyHeader whole = read_proxy_header(bytes);
  // What is decided by some bytes stays decided when more are there.
  for (size_t n = 0; n <= size && n <= kMaxProxyHeader + 1; ++n) {
    const ProxyHeader part = read_proxy_header(bytes.substr(0, n));
    if (part.state == ProxyHeader::State::kMore) {
      expect(n <= kMaxProxyHeader);
      continue;
    }
    expect(part.state == whole.state && part.size == whole.size && part.source == whole.source);
    expect(part.state == ProxyHeader::State::kRefused ? !part.why.empty() : part.size == n);
    break;
  }
  if (whole.state != ProxyHeader::State::kDone) return 0;
  expect(whole.size > 0 && whole.size <= kMaxProxyHeader && whole.size <= size);
  for (const char c : whole.source) {
    expect((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '.' || c == ':');
  }
  return 0;
}
