#pragma once
#include <cstdint>
#include <string_view>

#include "edge/http/header_list.h"
#include "edge/http/http1_syntax.h"
#include "edge/http/message.h"

namespace latchkey::edge {

struct Http1Event;

// Whether a trailer of this name (in lower case) is passed on: not what would change how a message
// is framed, routed or trusted. Of any HTTP version.
bool may_trail(std::string_view name);

// The body of one HTTP/1 message: a length, chunks with trailers, or all until the close. Ours
// rather than llhttp's, which takes trailers that end in a bare LF, has no bound on extensions and
// pushes, where we want to be asked.
class Http1Body {
 public:
  void begin(const Body& body, const Http1Limits& limits);
  // kMore, kBody, kEnd or kRefused.
  Http1Event next(std::string_view bytes);

  const HeaderList& trailers() const { return trailers_; }
  const Refusal& refusal() const { return refusal_; }

 private:
  enum class State : uint8_t {
    kLength,
    kUntilClose,
    kSize,       // of a chunk: its digits
    kExtension,  // passed over
    kSizeLf,
    kData,
    kDataCr,
    kDataLf,
    kTrailers,
    kEnd,
  };

  Http1Event refuse(std::string_view why, size_t consumed);
  bool size_byte(char c);
  Http1Event read_trailers(std::string_view bytes, size_t consumed);

  static constexpr uint32_t kMaxExtensions = 4096;  // bytes, over all chunks of a body

  State state_ = State::kEnd;
  uint8_t digits_ = 0;
  uint32_t extensions_ = 0;
  uint64_t left_ = 0;  // of the body or the chunk
  Http1Limits limits_;
  LineScanner lines_;
  HeaderList trailers_;
  Refusal refusal_;
};

}  // namespace latchkey::edge
