#pragma once
// An HTTP client as the control plane needs it: one request, one whole, bounded reply.

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/task.h"

namespace latchkey {

struct HttpRequest {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  Millis timeout{10'000};             // for the whole exchange
  size_t max_body = 1 << 20;          // bytes; a longer reply is an error (kProtocol)
  bool truncate_body = false;         // ... or, if set, is cut there without an error
  bool http_on_loopback_only = true;  // refuses http:// to hosts that are not loopback addresses
  // Numeric: where the URL's host is, tried in turn. Empty: it is looked up as the system does.
  std::vector<std::string> addresses{};
};

struct HttpReply {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  std::string body;

  // The first header of that (lower-case) name, or "".
  std::string_view header(std::string_view name) const {
    for (const auto& [key, value] : headers) {
      if (key == name) return value;
    }
    return {};
  }
};

// Redirects are never followed: a 3xx is a reply like any other. Errors: kTimeout, kIo (no
// connection, name not found, TLS refused, cut off), kProtocol (not HTTP, body too long),
// kInvalid (a URL that cannot be asked); the message names the URL without its query.
class HttpClient {
 public:
  virtual ~HttpClient() = default;
  // Dropping the task ends the exchange.
  virtual Task<HttpReply> send(HttpRequest request) = 0;
};

}  // namespace latchkey
