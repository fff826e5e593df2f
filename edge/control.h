#pragma once
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/job_thread.h"
#include "base/log.h"
#include "base/loop.h"
#include "edge/admin_server.h"
#include "edge/certificate_compression.h"
#include "edge/config.h"
#include "edge/control_plane.h"
#include "edge/control_steering.h"
#include "edge/inherited_sockets.h"
#include "edge/predecessor.h"
#include "edge/reloader.h"
#include "edge/service_manager.h"
#include "edge/ticket_keys.h"
#include "edge/upgrade.h"
#include "edge/worker_thread.h"

namespace latchkey::edge {

// The process: opens everything, starts the workers, obeys signals, hands over to its successor,
// drains. Lives on the control thread, which is the one that calls run().
class Control {
 public:
  // `reread` gives the configuration anew at a reload; empty where there is no file.
  using Reread = std::function<Result<Config>()>;

  // How the process was started.
  struct Origin {
    Program program;
    InheritedSockets sockets;
    std::unique_ptr<Predecessor> predecessor;  // null: there is none

    // Takes the environment's part out of it: before there are threads.
    static Origin of_this_process(int argc, char** argv);
  };

  // `config_file`: for people; "" for none.
  Control(Config config, std::string config_file, Reread reread, Log& log, Origin origin);
  ~Control();
  Control(const Control&) = delete;

  // Errors of starting: what is wrong with the machine or the configuration's files.
  Result<> start();
  // Until TERM has drained, or a second TERM or an INT.
  void run();

 private:
  struct SignalHandle;
  using SocketList = std::vector<Socket> Worker::Sockets::*;
  // A listening socket, kept for a successor beside the workers' own descriptors of it.
  struct Kept {
    Socket socket;
    SocketList list;
    std::string name;  // as Upgrade::Passed
  };

  // control_open.cc
  static size_t worker_count(const Config& config);
  std::shared_ptr<const TlsContext> make_tls(const TlsPolicy& policy);
  WorkerShared make_shared_state();
  void open_admin();
  void open_admin_server(std::optional<InheritedSockets::Named> given);
  void open_reloader();
  Result<std::shared_ptr<const FrontOptions>> load_front(const Config& config);

  // Each worker's own (control_sockets.cc).
  Result<std::vector<Worker::Sockets>> open_sockets(size_t workers);
  Result<> open_all(std::vector<std::string>& addresses, const char* name, SocketList list,
                    std::vector<Worker::Sockets>& out);
  Result<> spread(ListenAddress& address, std::vector<Socket> given, const std::string& name,
                  SocketList list, std::vector<Worker::Sockets>& out);
  Result<> start_listening();
  void listen_again();

  Result<> open_plane();
  void on_signal(int number);
  void reload(Reloader::Told told);
  void drain();
  void drain_workers(Worker::Drain how, Millis grace, const char* setting);
  void worker_drained();
  void end_when_answered();

  // control_upgrade.cc
  void begin_upgrade();
  void stop_accepting(std::function<void()> done);
  void replaced(int pid, bool admin);
  void upgrade_failed();
  void try_to_take_back(TimePoint until);
  void take_back();
  void serve_predecessor();

  // Gives the system back, now and then, what a herd of parked handshakes has left of the heap.
  void trim_after_herds();
  void log_counts();

  Config config_;  // with the real ports where a 0 stood
  const std::string config_file_;
  const Reread reread_;
  Log& log_;
  Origin origin_;
  Loop loop_;
  ServiceManager service_{loop_.clock()};
  CertificateCache cache_;
  acme::ChallengeTable challenges_;
  std::optional<TicketKeys> ticket_keys_;
  CertificateCompression compression_;
  HandshakeCounts counts_;
  ProtectionCounts protections_;
  const std::shared_ptr<FrontCounts> front_counts_ = std::make_shared<FrontCounts>();
  JobThread closing_{loop_.address()};         // where files that nobody uses any more are closed
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
  int drains_ = 0;       // that have begun, or were called off
  bool stopping_ = false;
  // <= the workers of all processes since the start. Also while this drains for a successor: should
  // that one die, what has arrived waits in their queues.
  std::vector<Kept> kept_;
  bool admin_is_given_ = false;  // its socket is the predecessor's, or systemd's
  Alarm taking_back_;
  Alarm answered_;
  bool pass_reload_on_ = false;       // there was one during the upgrade
  bool accepting_ = true;             // false: the workers were told to listen no more
  std::unique_ptr<Upgrade> upgrade_;  // null: none is under way, nor has one been
};

}  // namespace latchkey::edge
