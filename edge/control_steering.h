#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/loop.h"
#include "edge/control_plane.h"
#include "edge/parking_bounds.h"
#include "edge/reloader.h"
#include "edge/steering.h"
#include "edge/worker_shared.h"

namespace latchkey::edge {

// Steering of the running process: docs/admin-api.md. Control thread.
class ControlSteering final : public Steering {
 public:
  struct Process {
    std::string config_file;  // "" for none
    WallTime started{};
    WallTime loaded{};  // the configuration
    std::vector<std::string> needs_restart;
    size_t workers = 0;
    bool draining = false;
  };
  struct Parts {
    Loop& loop;
    ControlPlane& plane;
    const Config& config;
    const HandshakeCounts& counts;
    const std::atomic<size_t>& connections;
    const ParkingBounds& parking;
    std::function<Process()> process;
    // Calls back once, from the loop or from within.
    std::function<void(std::function<void(const Result<Reloaded>&)>)> reload;
  };

  explicit ControlSteering(Parts parts) : parts_(std::move(parts)) {}

  ServerNameRules name_rules() const override;
  std::string status() override;
  std::string budget() override;
  Task<std::string> explain(ServerName name) override;
  Task<std::string> ask(ServerName name) override;
  Task<std::string> obtain(ServerName name) override;
  Prefetched prefetch(const std::vector<ServerName>& names) override;
  Task<std::string> forget(ServerName name) override;
  Task<std::string> reload() override;

 private:
  const Parts parts_;
  size_t visits_ = 0;  // operators who wait for obtain()
};

}  // namespace latchkey::edge
