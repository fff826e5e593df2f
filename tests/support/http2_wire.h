#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/byte_stream.h"

struct nghttp2_hd_inflater;

namespace latchkey::test::http2 {

using Fields = std::vector<std::pair<std::string, std::string>>;

enum Type : uint8_t {
  kData,
  kHeaders,
  kPriority,
  kReset,
  kSettings,
  kPush,
  kPing,
  kGoaway,
  kWindow,
  kContinuation
};
constexpr uint8_t kEndStream = 1, kAck = 1, kEndHeaders = 4;

// A frame as it is, whatever it says.
std::string frame(uint8_t type, uint8_t flags, uint32_t stream, std::string_view payload);
// A header block, each field by its letters and byte for byte: RFC 7541, 6.2.2.
std::string block(const Fields& fields);
std::string number32(uint32_t value);
// What a client says first. Its windows are as large as may be.
std::string greeting();

// A request without and with a body, on a stream of its own.
std::string request(uint32_t stream, const Fields& fields);
std::string request(uint32_t stream, const Fields& fields, std::string_view body,
                    const Fields& trailers = {});

// How a stream ended.
struct Outcome {
  std::string status;
  Fields headers, trailers;
  std::string body;
  bool ended = false;              // properly
  std::optional<uint32_t> reset;   // its error code
  std::optional<uint32_t> goaway;  // the connection's
  std::string header(std::string_view name) const;
  // "200", "reset", "goaway", or "cut".
  std::string told() const;
};

// Reads a server's frames, and acknowledges SETTINGS and PING.
class Reader {
 public:
  explicit Reader(ByteStream& stream);
  ~Reader();
  Reader(const Reader&) = delete;

  // Until the stream is over, or the connection.
  Outcome wait_for(uint32_t stream);

 private:
  bool read_frame();
  Fields inflate(std::string_view block);

  ByteStream& stream_;
  std::string in_;
  nghttp2_hd_inflater* inflater_ = nullptr;
  uint8_t type_ = 0, flags_ = 0;
  uint32_t id_ = 0;
  std::string payload_;
};

}  // namespace latchkey::test::http2
