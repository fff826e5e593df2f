#pragma once
#include <uv.h>

#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/metrics.h"
#include "cache/certificate.h"
#include "cache/slot.h"
#include "cache/store.h"
#include "edge/config.h"

namespace latchkey::edge {

// Writes a certificate to DIR/NAME/{cert,chain,fullchain,privkey}.pem, as certbot names them
// (wildcards: DIR/_.example.com; the RSA twin: DIR/NAME.rsa): folder 0700, key 0600. Each file is
// replaced atomically, the key before the chain that goes with it; a file that is the same already
// is left alone, and one that is replaced hands down its owner, group and permissions. The value:
// was anything written? `before` is called ahead of the first write; its error ends it. Any thread.
Result<bool> export_certificate(const std::filesystem::path& dir, const ServerName& name, Slot slot,
                                const Certificate& certificate,
                                const std::function<Result<>()>& before = {});

// Continuous export (config key `export`): each certificate that is stored is written in a thread
// of the pool; after a burst of changes (2 s of quiet, 30 s at most) the hook runs once, with the
// names on its standard input, a line each ("*" for more than 10 000), and LATCHKEY_EXPORT_DIR. At
// the start what is missing, or was left half done, is written from the store, a page at a time.
//
// One thing at a time: nothing is written while the hook runs. Failures are logged and tried again,
// after a minute, then after twice as long, up to an hour. What the hook has not been told of lies
// in DIR/.hook-pending, so that it is after a crash. Nothing is ever deleted. Control thread.
class Exporter {
 public:
  struct Counts {
    Counter written, failed, hooks, hooks_failed;
  };

  Exporter(ExportConfig config, Store& store, Loop& loop, Log& log)
      : Exporter(std::move(config), store, loop.uv(), loop.clock(), log) {}
  // All outlive us. Of what is stored at most `max_queued` wait; beyond that the whole store is
  // looked through once more.
  Exporter(ExportConfig config, Store& store, uv_loop_t& loop, Clock& clock, Log& log,
           size_t max_queued = 1000);
  ~Exporter();
  Exporter(const Exporter&) = delete;

  void start();
  void stored(const ServerName& name, Slot slot, const CertificatePtr& certificate);

  // Begins nothing, until release(): neither a file nor the hook.
  void hold();
  void release();
  bool busy() const;  // something is under way
  // Drops what is under way and does nothing any more; start() begins anew, with all of the store.
  void stop();

  const Counts& counts() const { return counts_; }
  // Nothing is under way: what is left, if anything, waits for its time.
  bool idle() const;
  // ... and nothing is left: everything is written, and the hook knows of it.
  bool at_rest() const;

 private:
  struct Impl;
  Counts counts_;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
