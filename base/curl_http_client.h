#pragma once
#include <uv.h>

#include <memory>
#include <string>

#include "base/http_client.h"

namespace latchkey {

// HttpClient over one libcurl multi handle that is driven by a libuv loop: connections are kept
// and reused, HTTP/2 where TLS negotiates it, proxies as the environment says (but never to
// loopback). Lives on the loop's thread; its tasks must be gone before it is. The process must
// ignore SIGPIPE.
class CurlHttpClient final : public HttpClient {
 public:
  struct Options {
    std::string ca_file;  // PEM; the only roots. "": the system's
    std::string user_agent = "latchkey";
    long max_connections_per_host = 8;  // further requests wait for one, within their timeout
    std::string unix_socket{};          // connects there, whatever the URL's host is; "": by TCP
    // To look at strangers: certificates are not verified, connections not shared, proxies not
    // used.
    bool probing = false;
  };

  CurlHttpClient(uv_loop_t& loop, Options options);
  ~CurlHttpClient() override;
  CurlHttpClient(const CurlHttpClient&) = delete;

  Task<HttpReply> send(HttpRequest request) override;

 private:
  class Multi;
  class Exchange;

  static Task<HttpReply> run(Multi& multi, HttpRequest request);

  std::unique_ptr<Multi> multi_;
};

}  // namespace latchkey
