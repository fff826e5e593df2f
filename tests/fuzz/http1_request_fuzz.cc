// A request stream means the same however it is cut into reads, and what was accepted means the
// same when we write it and read it again.

#include <cstdint>

#include "edge/http/http1_writer.h"
#include "tests/fuzz/pull.h"

namespace latchkey::edge {
namespace {

struct OnHead {
  Http1RequestParser& parser;

  bool operator()(std::string& told) const {
    const RequestHead& head = parser.head();
    told.append("^").append(head.method).append(" ").append(head.target).append(" ");
    told.append(head.authority)
        .append(" ")
        .append(head.host())
        .append(parser.keep_alive() ? "k" : "c");
    for (const auto [name, value] : head.headers) told.append(name).append("=").append(value);
    rewrite(head);
    return true;
  }
  bool goes_on() const { return true; }

  static void rewrite(const RequestHead& head) {
    RequestHead plain = head;
    for (const char* name : {"connection", "upgrade", "expect"}) plain.headers.remove(name);
    std::string bytes;
    write_head(bytes, plain);
    Http1RequestParser again({.line = 1 << 20, .head = 1 << 20, .fields = 200});
    const Http1Event event = again.next(bytes);
    if (event.kind != Http1Event::Kind::kHead || event.consumed != bytes.size()) std::abort();
    const RequestHead& read = again.head();
    if (read.method != head.method || read.target != head.target ||
        read.authority != head.authority || read.body.kind != head.body.kind ||
        read.body.length != head.body.length) {
      std::abort();
    }
  }
};

std::string tell(std::string_view bytes, size_t step) {
  Http1RequestParser parser;
  return pull(parser, bytes, step, OnHead{parser});
}

}  // namespace
}  // namespace latchkey::edge

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = latchkey::edge::tell(bytes, size + 1);
  for (const size_t step : {size_t{1}, size_t{7}}) {
    if (latchkey::edge::tell(bytes, step) != whole) std::abort();
  }
  return 0;
}
