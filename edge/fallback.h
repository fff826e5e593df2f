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

  // Reads the configured files, makes the self-signed one (a configured one goes before it). Errors
  // name the key and the file.
  static Result<std::shared_ptr<const Fallback>> load(const Config& config);

  // A warning for each that has expired: it is served all the same.
  void warn_of_expired(Log& log, WallTime now) const;
};

}  // namespace latchkey::edge
