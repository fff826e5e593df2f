#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "edge/http/http1_syntax.h"
#include "edge/http/message.h"

namespace latchkey::edge {

// The head of an HTTP/2 request as its fields arrive, and the RequestHead that it becomes: what an
// HTTP/1.1 request of the same meaning would have been (RFC 9113, 8.3; RFC 8441 for WebSockets).
// What could mean two things to an HTTP/1.1 upstream is refused. Takes no more memory than the
// limits say, whatever comes.
class Http2Request {
 public:
  explicit Http2Request(const Http1Limits& limits) : limits_(limits) {}

  // Names in lower case, pseudo-header fields among them.
  void add(std::string_view name, std::string_view value);
  // Beyond what is worth an answer: a few bytes of HPACK can stand for megabytes, and looking at
  // each field costs.
  bool far_too_large() const { return size_ > 2 * limits_.head; }
  // Its answer has no body. Before finish().
  bool is_head() const { return method_ == "HEAD"; }
  // Once all are there. `has_body`: the stream goes on. Null: `head` is whole but for its scheme.
  std::optional<Refusal> finish(bool has_body, RequestHead& head);

 private:
  std::optional<Refusal> read_authority(RequestHead& head);
  std::optional<Refusal> read_body(bool has_body, RequestHead& head);
  static void become_websocket(RequestHead& head);

  const Http1Limits& limits_;
  size_t size_ = 0;
  bool too_large_ = false;
  std::string method_, path_, authority_, protocol_;
  std::string cookies_;  // which may come in crumbs (RFC 9113, 8.2.3)
  HeaderList headers_;
};

// Trailers as their fields arrive; pseudo-header fields are left out. False: they are too large.
bool add_trailer(HeaderList& trailers, size_t& size, const Http1Limits& limits,
                 std::string_view name, std::string_view value);

}  // namespace latchkey::edge
