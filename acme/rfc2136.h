#pragma once
#include <uv.h>

#include <cstdint>
#include <memory>
#include <string>

#include "acme/dns_records.h"
#include "base/clock.h"
#include "base/log.h"

namespace latchkey::acme {

// Records by DNS UPDATE (RFC 2136) at a primary name server, signed and its answers verified by
// TSIG (RFC 8945; hmac-sha256, -sha384, -sha512, -sha224, -sha1). Over TCP, a connection for each
// message. Errors name the server, the zone, what it answered and what to do about it: kInvalid
// where only a change of the configuration here or there helps, kIo and kTimeout where another try
// may, kProtocol for answers that make no sense or cannot be trusted. Control thread.
class Rfc2136Records final : public DnsRecords {
 public:
  struct Options {
    std::string server;      // "192.0.2.1:53", "[2001:db8::1]:53"
    std::string zone{};      // "": found by asking `server` for the SOA, label by label
    std::string key_name{};  // "": unsigned
    std::string algorithm = "hmac-sha256";
    std::string secret{};    // decoded; a secret
    uint32_t ttl = 60;       // seconds
    Millis timeout{10'000};  // of an exchange
  };
  // Options that cannot work are the error of each call; check() tells earlier.
  Rfc2136Records(Options options, uv_loop_t& loop, Clock& clock, Log& log);
  ~Rfc2136Records() override;
  static Result<> check(const Options& options);

  // Their tasks are dropped before this goes.
  Task<> publish(std::string domain, std::string value) override;
  Task<> withdraw(std::string domain, std::string value) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::acme
