#pragma once
#include <cstdlib>
#include <string>
#include <string_view>

#include "edge/http/http1_codec.h"

namespace latchkey::edge {

// Everything a pull parser says about `bytes` when they come in reads of `step` bytes.
template <typename Parser, typename OnHead>
std::string pull(Parser& parser, std::string_view bytes, size_t step, OnHead on_head) {
  std::string told;
  std::string waiting;
  while (!bytes.empty()) {
    waiting.append(bytes.substr(0, step));
    bytes.remove_prefix(step < bytes.size() ? step : bytes.size());
    for (;;) {
      const Http1Event event = parser.next(waiting);
      if (event.consumed > waiting.size()) std::abort();
      told.append(event.body);
      waiting.erase(0, event.consumed);
      if (event.kind == Http1Event::Kind::kMore) break;
      if (event.kind == Http1Event::Kind::kRefused) {
        return told + "!" + std::string(parser.refusal().why);
      }
      if (event.kind == Http1Event::Kind::kHead && !on_head(told)) return told;
      if (event.kind == Http1Event::Kind::kEnd) {
        told += "$";
        for (const auto [name, value] : parser.trailers()) {
          told.append(name).append("=").append(value).append(";");
        }
        if (!on_head.goes_on()) return told;
      }
    }
  }
  return told;
}

}  // namespace latchkey::edge
