#pragma once
#include <memory>

#include "base/log.h"
#include "base/result.h"
#include "cache/certificate.h"
#include "edge/config.h"

namespace latchkey::edge {

// Certificates for handshakes that have none of their own name. Immutable: a reload posts a new
// one to each worker.
struct Fallback {
  CertificatePtr no_sni;   // for a ClientHello without SNI; null: refused
  CertificatePtr parking;  // for names that are pending, denied or failed, so that a page can say
                           // so; null: they are refused by an alert

  // Reads the configured files, makes the self-signed one (a configured one goes before it). All or
  // nothing; the error names key and file of each that is bad, a line each.
  static Result<std::shared_ptr<const Fallback>> load(const Config& config);
  // What there is of it: a start fails because of no certificate. Logs an error for each that is
  // bad; handshakes for which it was meant are refused.
  static std::shared_ptr<const Fallback> load_usable(const Config& config, Log& log);

  // A warning for each that has expired: it is served all the same.
  void warn_of_expired(Log& log, WallTime now) const;
};

}  // namespace latchkey::edge
