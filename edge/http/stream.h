#pragma once
// The seam between a client's connection and what answers its requests, the same for every HTTP
// version. A session parses a request, makes an Exchange for it and passes it the rest of the
// request; the Exchange answers through its ResponseStream. Worker thread.

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "cache/grant.h"
#include "edge/http/message.h"

namespace latchkey::edge {

// What a connection's requests are answered with where none of them can be served.
struct Notice {
  int status = 503;
  std::string text;
  std::optional<std::chrono::seconds> retry_after{};
};

struct ClientIdentity;

// What a client has shown of itself where a certificate is asked for.
struct ClientProof {
  bool asked = false;                                // for this host; else upstreams hear nothing
  std::shared_ptr<const ClientIdentity> identity{};  // null: it has shown none
};

// What an exchange tells of how it came to its answer; for the access log.
struct ExchangeNotes {
  std::string upstream{};               // the address that was tried last
  std::optional<TimePoint> sent{};      // when the request went there
  std::optional<TimePoint> answered{};  // when the response's head came
};

class ErrorPages;

// How a page of ours is to look for a request.
struct PageStyle {
  enum class Form { kHtml, kText, kJson };  // what the client accepts

  const ErrorPages* pages = nullptr;  // the operator's; null: he has none
  Form form = Form::kHtml;
};

// What a connection says of the hosts that its requests are for (lower case, no port).
class HostRules {
 public:
  // Whether the certificate that was served covers `host`.
  virtual bool covers(std::string_view /*host*/) const { return true; }
  // What the policy says of it by now; null: nothing.
  virtual GrantPtr grant_of(std::string_view /*host*/) const { return nullptr; }
  // Of the client's certificate; asks_any(): for some hosts it is asked for.
  virtual bool asks_any() const { return false; }
  virtual ClientProof proof_of(std::string_view /*host*/) const { return {}; }

 protected:
  ~HostRules() = default;
};

// Who is at the other end of the connection.
struct ClientInfo {
  std::string_view address;          // numeric, without port; the owner of the session keeps it
  bool secure = false;               // came by TLS
  const HostRules* rules = nullptr;  // null: none
  const Notice* notice = nullptr;    // null: they are served
  const char* tls_version = "";      // "TLSv1.3"; "" without TLS. Lives for ever
};

// The way back to the client; the session implements it. It takes everything it is given and
// buffers what the client does not take: who sends a lot asks full() after each piece.
// It outlives the Exchange.
class ResponseStream {
 public:
  virtual const ClientInfo& client() const = 0;
  // Null: nobody wants them.
  virtual ExchangeNotes* notes() { return nullptr; }
  virtual PageStyle page_style() const { return {}; }

  // 1xx but not 101; any number, before send_head().
  virtual void send_interim(const ResponseHead& head) = 0;
  // Once. With 101 the exchange becomes two opaque byte streams: on_body() and send_body() carry
  // them, on_request_end() and finish() are their ends, and only both ends end the exchange.
  virtual void send_head(const ResponseHead& head) = 0;
  // Ignored where the response has no body (HEAD, 204, 304).
  virtual void send_body(std::string_view bytes) = 0;
  // Small pieces may be held back until here (finish() and a full buffer do it too).
  virtual void flush() = 0;
  // The buffer holds 64 KiB or more: stop, on_writable() will come.
  virtual bool full() = 0;

  // The response is whole. May destroy the Exchange: call it last.
  virtual void finish(const HeaderList& trailers = {}) = 0;
  // It never will be: cuts the client off, so that it cannot take a part for the whole.
  // May destroy the Exchange: call it last.
  virtual void reset() = 0;

  // Back-pressure for the request: no on_body() between pause and resume, but for the piece that
  // is being delivered.
  virtual void pause_body() = 0;
  virtual void resume_body() = 0;

 protected:
  ~ResponseStream() = default;
};

// One request being answered. Destroyed when the response is finished or the client has gone, and
// never from within one of these calls unless it called finish() or reset().
class Exchange {
 public:
  virtual ~Exchange() = default;

  virtual void start() = 0;  // comes first
  virtual void on_body(std::string_view bytes) = 0;
  virtual void on_request_end(const HeaderList& trailers) = 0;  // always, unless destroyed before
  virtual void on_writable() = 0;                               // after full() said yes
};

using Serve = std::function<std::unique_ptr<Exchange>(RequestHead&&, ResponseStream&)>;

}  // namespace latchkey::edge
