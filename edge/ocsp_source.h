#pragma once
#include <functional>
#include <memory>
#include <string>

#include "acme/authority/authority.h"
#include "base/curl_http_client.h"
#include "base/log.h"
#include "base/loop.h"
#include "ondemand/staples.h"

namespace latchkey::edge {

// Asks OCSP responders over HTTP (RFC 6960, appendix A; GET where it fits, so that caches in
// between help; POST where it does not, or where the responder has no GET). Redirects are not
// followed, an answer is <= 64 KiB. 10 s a request. Control thread.
class OcspSource final : public StapleSource {
 public:
  // The authority in this process whose responder that is; null: it is another's, and asked by
  // HTTP. May be empty.
  using FindHere = std::function<acme::Authority*(const std::string& responder)>;

  OcspSource(Loop& loop, Log& log, FindHere find_here = {});
  ~OcspSource() override;
  OcspSource(const OcspSource&) = delete;

  Task<StapleAnswer> fetch(CertificatePtr certificate) override;

 private:
  // The body of a 200.
  Task<std::string> ask(std::string responder, std::string question);
  Task<HttpReply> send(HttpRequest request);

  Loop& loop_;
  Log& log_;
  const FindHere find_here_;
  std::unique_ptr<CurlHttpClient> http_;
};

}  // namespace latchkey::edge
