#pragma once
// What an HTTP message is, whichever version carried it. Framing (Content-Length,
// Transfer-Encoding), Host and Connection are not in `headers`: codecs read and write them.

#include <cstdint>
#include <string>

#include "edge/http/header_list.h"

namespace latchkey::edge {

// How long the body is said to be.
struct Body {
  enum class Kind {
    kNone,        // there is none
    kLength,      // `length` bytes, also 0
    kChunked,     // it says itself where it ends
    kUntilClose,  // responses only
  };
  Kind kind = Kind::kNone;
  uint64_t length = 0;
};

struct RequestHead {
  std::string method;     // as sent; methods are case-sensitive
  std::string target;     // origin-form: path and query; "*" for OPTIONS
  std::string authority;  // Host as sent: name or address, perhaps ":port"; never empty
  std::string scheme;     // "https" or "http": how it reached us
  int minor_version = 1;  // of HTTP/1; 1 for later versions
  bool http2 = false;     // how it reached us
  HeaderList headers;
  Body body;
  bool expect_continue = false;  // the client waits for a 100 before it sends the body
  std::string upgrade;           // the protocol it asks to switch to ("websocket"), or ""

  // Set by the Front (edge/front/front.h); "" and false without one.
  std::string id{};                 // X-Request-Id, towards the upstream and in logs
  std::string client_address{};     // numeric: who asks, also through proxies that are trusted
  bool from_trusted_proxy = false;  // what it says of its client goes on
  bool forwarded = false;           // the upstream gets RFC 7239's Forwarded

  // The authority without port and trailing dot, in lower case; an IPv6 address keeps its brackets.
  std::string host() const;
};

struct ResponseHead {
  int status = 0;
  std::string reason;  // may be empty
  HeaderList headers;
  // As announced; answers to HEAD and 304 announce one and carry none.
  Body body;
  std::string upgrade;  // with 101: the protocol

  bool interim() const { return status < 200 && status != 101; }
};

// The phrase for a status, "" if there is none.
std::string_view reason_phrase(int status);

}  // namespace latchkey::edge
