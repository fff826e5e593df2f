#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/log.h"
#include "base/loop.h"
#include "edge/config.h"
#include "edge/control_plane.h"
#include "edge/worker_thread.h"

namespace latchkey::edge {

// The process: opens everything, starts the workers, obeys signals, drains. Lives on the control
// thread, which is the one that calls run().
class Control {
 public:
  // `reread` gives the configuration anew at HUP; empty where there is no file.
  using Reread = std::function<Result<Config>()>;

  Control(Config config, Reread reread, Log& log);
  ~Control();
  Control(const Control&) = delete;

  // Errors of starting: what is wrong with the machine or the configuration's files.
  Result<> start();
  // Until TERM has drained, or a second TERM or an INT.
  void run();

 private:
  struct SignalHandle;

  Result<Worker::Sockets> open_sockets();
  WorkerShared make_shared_state();
  void on_signal(int number);
  void reload();
  void drain();
  void worker_drained();
  void log_counts();
  void tell_systemd(const char* state);

  const Config as_written_;
  Config config_;  // with the real ports where a 0 stood
  const Reread reread_;
  Log& log_;
  Loop loop_;
  CertificateCache cache_;
  acme::ChallengeTable challenges_;
  TlsContext tls_;
  HandshakeCounts counts_;
  std::atomic<size_t> parked_{0};
  std::atomic<size_t> connections_{0};
  std::unique_ptr<ControlPlane> plane_;
  std::optional<WorkerShared> shared_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;  // gone before what they share
  std::vector<std::unique_ptr<SignalHandle>> signals_;
  Alarm grace_;
  size_t draining_ = 0;  // workers that still have connections
  bool stopping_ = false;
};

}  // namespace latchkey::edge
