#pragma once
#include <memory>

#include "base/curl_http_client.h"
#include "base/log.h"
#include "base/loop.h"
#include "ondemand/staples.h"

namespace latchkey::edge {

// Asks OCSP responders over HTTP (RFC 6960, appendix A; GET where it fits, so that caches in
// between help). Redirects are not followed. 10 s a request. Control thread.
class OcspSource final : public StapleSource {
 public:
  OcspSource(Loop& loop, Log& log);
  ~OcspSource() override;
  OcspSource(const OcspSource&) = delete;

  Task<StapleAnswer> fetch(CertificatePtr certificate) override;

 private:
  Loop& loop_;
  Log& log_;
  std::unique_ptr<CurlHttpClient> http_;
};

}  // namespace latchkey::edge
