// A response stream means the same however it is cut into reads. The first byte says what was
// asked.

#include <cstdint>

#include "tests/fuzz/pull.h"

namespace latchkey::edge {
namespace {

struct OnHead {
  Http1ResponseParser& parser;

  bool operator()(std::string& told) const {
    const ResponseHead& head = parser.head();
    told.append("^").append(std::to_string(head.status)).append(head.reason).append(head.upgrade);
    told.append(parser.keep_alive() ? "k" : "c");
    for (const auto [name, value] : head.headers) told.append(name).append("=").append(value);
    return head.status != 101;
  }
  bool goes_on() const { return false; }
};

std::string tell(std::string_view bytes, size_t step, bool head, bool upgrade) {
  Http1ResponseParser parser;
  parser.expect(head, upgrade);
  std::string told = pull(parser, bytes, step, OnHead{parser});
  if (told.find('!') == std::string::npos)
    told += static_cast<char>('0' + static_cast<int>(parser.finish().kind));
  return told;
}

}  // namespace
}  // namespace latchkey::edge

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  const bool head = (data[0] & 1) != 0;
  const bool upgrade = (data[0] & 2) != 0;
  const std::string whole = latchkey::edge::tell(bytes, size + 1, head, upgrade);
  for (const size_t step : {size_t{1}, size_t{7}}) {
    if (latchkey::edge::tell(bytes, step, head, upgrade) != whole) std::abort();
  }
  return 0;
}
