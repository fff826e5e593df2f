#include "edge/http/http1_writer.h"

#include <charconv>

namespace latchkey::edge {
namespace {

void line(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

void fields(std::string& out, const HeaderList& headers) {
  for (size_t i = 0; i < headers.size(); ++i) out.append(headers.line(i));
}

// A message's text is put together in one piece of memory.
void make_room(std::string& out, const HeaderList& headers, size_t rest) {
  constexpr size_t kOurs = 160;  // the first line's words, framing, Connection, Date
  const size_t size = out.size() + headers.bytes() + rest + kOurs;
  if (size > out.capacity()) out.reserve(size);
}

void framing(std::string& out, const Body& body) {
  if (body.kind == Body::Kind::kLength) line(out, "content-length", std::to_string(body.length));
  if (body.kind == Body::Kind::kChunked) line(out, "transfer-encoding", "chunked");
}

}  // namespace

void write_head(std::string& out, const RequestHead& head) {
  make_room(out, head.headers,
            head.method.size() + head.target.size() + head.authority.size() + head.upgrade.size());
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  line(out, "host", head.authority);
  fields(out, head.headers);
  if (head.expect_continue) line(out, "expect", "100-continue");
  framing(out, head.body);
  const bool te = head.headers.has("te");
  if (!head.upgrade.empty()) {
    line(out, "connection", te ? "upgrade, te" : "upgrade");
    line(out, "upgrade", head.upgrade);
  } else if (te) {
    line(out, "connection", "te");
  }
  out.append("\r\n");
}

void write_head(std::string& out, const ResponseHead& head, const ResponseLines& lines) {
  make_room(out, head.headers, head.reason.size() + head.upgrade.size());
  out.append("HTTP/1.1 ").append(std::to_string(head.status)).append(" ");
  out.append(head.reason.empty() ? reason_phrase(head.status) : std::string_view(head.reason));
  out.append("\r\n");
  fields(out, head.headers);
  if (!lines.date.empty()) line(out, "date", lines.date);
  framing(out, lines.body);
  if (!lines.connection.empty()) line(out, "connection", lines.connection);
  if (!head.upgrade.empty()) line(out, "upgrade", head.upgrade);
  out.append("\r\n");
}

void write_chunk_head(std::string& out, size_t size) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, size, 16).ptr;
  out.append(digits, end).append("\r\n");
}

void write_last_chunk(std::string& out, const HeaderList& trailers) {
  out.append("0\r\n");
  fields(out, trailers);
  out.append("\r\n");
}

}  // namespace latchkey::edge
