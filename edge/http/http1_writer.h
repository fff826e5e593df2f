#pragma once
// Messages to HTTP/1.1 bytes, appended to a string.

#include <cstdint>
#include <string>
#include <string_view>

#include "edge/http/message.h"

namespace latchkey::edge {

// Towards an upstream, always as HTTP/1.1.
void write_head(std::string& out, const RequestHead& head);

// What is written towards a client beside the upstream's head.
struct ResponseLines {
  Body body{};                    // instead of the head's; kUntilClose says nothing
  std::string_view connection{};  // the Connection field; "" for none
  std::string_view date{};        // likewise
};
void write_head(std::string& out, const ResponseHead& head, const ResponseLines& lines);

// One chunk is chunk_head + the bytes + "\r\n".
void write_chunk_head(std::string& out, size_t size);
// The last chunk with the trailers.
void write_last_chunk(std::string& out, const HeaderList& trailers);

}  // namespace latchkey::edge
