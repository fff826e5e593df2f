#pragma once
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "tests/support/http_server.h"
#include "tests/support/ocsp_ca.h"

namespace latchkey::test {

// What a responder does when it is asked.
enum class OcspMode {
  kGood,
  kGoodByDelegate,  // signed by somebody whom the CA has certified for it
  kRevoked,
  kUnknown,
  kTryLater,      // an OCSPResponse that says so
  kUnauthorized,  // an OCSPResponse that says so
  kHang,
  kReset,
  kServerError,  // HTTP 500
  kMalformed,    // HTTP 200 and no DER
  kTruncated,
  kWrongSerial,           // a good one, of another certificate
  kExpired,               // good, until a minute ago
  kFuture,                // good, from tomorrow on
  kUnauthorizedDelegate,  // by somebody whom the CA has certified for something else
  kStranger,              // by another CA
};

// An OCSP responder on 127.0.0.1 with a thread of its own, for a CA whose key it has. Answers GET
// and POST about any certificate that it is asked about. To have one that refuses connections,
// destroy it; another one may be made on its port.
class OcspResponder {
 public:
  // Port 0: any. See HttpServer for what else may be said.
  explicit OcspResponder(OcspCa ca, uint16_t port = 0);
  OcspResponder(const OcspResponder&) = delete;

  std::string url() const { return server_.url("/ocsp"); }
  uint16_t port() const { return server_.port(); }

  void set_mode(OcspMode mode);
  // Of one certificate, in place of the above; `serial` as Certificate::serial() has it.
  void set_mode(const std::string& serial, OcspMode mode);
  // RFC 5280's number for kRevoked; nullopt: none is given.
  void set_reason(std::optional<int> reason);
  // From a second ago on; an hour by default. 0: no nextUpdate.
  void set_life(std::chrono::seconds life);
  void set_delay(Millis delay);
  // Whose key signs from now on: Pebble has another one after each start.
  void set_ca(OcspCa ca);

  size_t requests() const { return server_.requests(); }
  size_t requests_about(const std::string& serial) const;
  size_t most_at_once() const { return server_.most_at_once(); }
  std::vector<Request> seen() const { return server_.seen(); }

 private:
  Response answer(const Request& request);
  // REQUIRES: the lock.
  std::string answer_der(OcspMode mode, const std::string& cert_id) const;

  mutable std::mutex mutex_;
  // All guarded by mutex_.
  OcspCa ca_;
  OcspMode mode_ = OcspMode::kGood;
  std::map<std::string, OcspMode> modes_;   // by serial
  std::map<std::string, size_t> requests_;  // by serial
  std::optional<int> reason_;
  std::chrono::seconds life_{3600};
  Millis delay_{0};

  HttpServer server_;  // goes first: it calls answer()
};

}  // namespace latchkey::test
