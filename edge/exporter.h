#pragma once
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/loop.h"
#include "cache/certificate.h"
#include "cache/slot.h"
#include "cache/store.h"
#include "edge/config.h"

namespace latchkey::edge {

// Writes a certificate to DIR/NAME/{cert,chain,fullchain,privkey}.pem, as certbot names them
// (wildcards: DIR/_.example.com; the RSA twin: DIR/NAME.rsa): folder 0700, key 0600. Each file is
// replaced atomically, the key before the chain that goes with it; a pair that is the same already
// is left alone. The value: was anything written? Any thread.
Result<bool> export_certificate(const std::filesystem::path& dir, const ServerName& name, Slot slot,
                                const Certificate& certificate);

// Continuous export (config key `export`): each certificate that is stored is written in a thread
// of the pool; after a burst of changes (2 s of quiet, 30 s at most) the hook runs once, with the
// names on its standard input, a line each. At the start what is missing is written from the store,
// a page at a time. Failures are logged and tried again. Control thread.
class Exporter {
 public:
  Exporter(ExportConfig config, Store& store, Loop& loop, Log& log);
  ~Exporter();
  Exporter(const Exporter&) = delete;

  void start();
  void stored(const ServerName& name, Slot slot, const CertificatePtr& certificate);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
