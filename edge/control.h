#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/loop.h"
#include "edge/admin_server.h"
#include "edge/certificate_compression.h"
#include "edge/config.h"
#include "edge/control_plane.h"
#include "edge/control_steering.h"
#include "edge/reloader.h"
#include "edge/ticket_keys.h"
#include "edge/worker_thread.h"

namespace latchkey::edge {

// The process: opens everything, starts the workers, obeys signals, drains. Lives on the control
// thread, which is the one that calls run().
class Control {
 public:
  // `reread` gives the configuration anew at a reload; empty where there is no file.
  using Reread = std::function<Result<Config>()>;

  // `config_file`: for people; "" for none.
  Control(Config config, std::string config_file, Reread reread, Log& log);
  ~Control();
  Control(const Control&) = delete;

  // Errors of starting: what is wrong with the machine or the configuration's files.
  Result<> start();
  // Until TERM has drained, or a second TERM or an INT.
  void run();

 private:
  struct SignalHandle;

  std::shared_ptr<const TlsContext> make_tls(const TlsPolicy& policy);
  Result<Worker::Sockets> open_sockets();
  WorkerShared make_shared_state();
  void open_admin();
  void open_reloader();
  Result<std::shared_ptr<const FrontOptions>> load_front(const Config& config);
  void on_signal(int number);
  void drain();
  void worker_drained();
  // Gives the system back, now and then, what a herd of parked handshakes has left of the heap.
  void trim_after_herds();
  void log_counts();
  void tell_systemd(const char* state);

  Config config_;  // with the real ports where a 0 stood
  const std::string config_file_;
  const Reread reread_;
  Log& log_;
  Loop loop_;
  CertificateCache cache_;
  acme::ChallengeTable challenges_;
  std::optional<TicketKeys> ticket_keys_;
  CertificateCompression compression_;
  HandshakeCounts counts_;
  ProtectionCounts protections_;
  const std::shared_ptr<FrontCounts> front_counts_ = std::make_shared<FrontCounts>();
  std::shared_ptr<const FrontOptions> front_;  // in force
  const size_t max_descriptors_;
  ParkingBounds parking_;
  std::atomic<size_t> connections_{0};
  std::unique_ptr<ControlPlane> plane_;
  std::unique_ptr<Reloader> reloader_;
  std::unique_ptr<ControlSteering> steering_;
  std::unique_ptr<AdminServer> admin_;
  WallTime started_{};
  std::optional<WorkerShared> shared_;
  std::vector<std::unique_ptr<WorkerThread>> workers_;  // gone before what they share
  std::vector<std::unique_ptr<SignalHandle>> signals_;
  Alarm grace_;
  Alarm trim_;
  int64_t parked_at_trim_ = 0;  // handshakes that had been parked when the last herd was noticed
  int trims_due_ = 0;
  size_t draining_ = 0;  // workers that still have connections
  bool stopping_ = false;
};

}  // namespace latchkey::edge
