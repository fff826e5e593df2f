#pragma once
#include <functional>
#include <string>
#include <vector>

#include "base/job_thread.h"
#include "base/loop.h"
#include "base/pending.h"
#include "base/task_set.h"
#include "edge/certificate_compression.h"
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
    Log& log;
    ControlPlane& plane;
    const Config& config;
    const HandshakeCounts& counts;
    const ProtectionCounts& protections;
    const CertificateCompression& compression;
    const std::atomic<size_t>& connections;
    const ParkingBounds& parking;
    std::function<Process()> process;
    // Calls back once, from the loop or from within.
    std::function<void(std::function<void(const Result<Reloaded>&)>)> reload;
    const FrontCounts* front = nullptr;  // null: there is none
  };

  explicit ControlSteering(Parts parts) : parts_(std::move(parts)) {}

  ServerNameRules name_rules() const override;
  Task<std::string> status() override;
  bool draining() const override { return parts_.process().draining; }
  std::string budget() override;
  Task<std::string> explain(ServerName name) override;
  Task<std::string> ask(ServerName name) override;
  Task<std::string> obtain(ServerName name) override;
  Prefetched prefetch(const std::vector<ServerName>& names) override;
  Task<std::string> forget(ServerName name) override;
  Task<std::string> list_certificates(CertificateQuery query) override;
  Task<std::string> show_certificate(ServerName name) override;
  Task<std::string> renew(ServerName name) override;
  Task<std::string> revoke(ServerName name, std::string reason) override;
  Task<std::string> evict(ServerName name) override;
  Task<std::string> retry(ServerName name) override;
  Task<std::string> events(std::optional<ServerName> name, size_t limit) override;
  Task<std::string> accounts() override;
  Task<std::string> change_account(std::string issuer, AccountAct act) override;
  Task<std::string> authorities() override;
  Task<std::string> authority_roots(std::string issuer) override;
  Task<std::string> rotate_authority(std::string issuer, bool root) override;
  Task<std::string> import(std::string batch) override;
  Task<std::string> reload() override;

 private:
  // Of the admin server's 64 connections some are left to those who look.
  static constexpr size_t kMaxVisits = 48;
  static constexpr size_t kMaxDeeds = 16;
  class Place;

  // Is the name among the certificate's own, not by a wildcard? Null: no.
  static bool names_it(const CertificatePtr& certificate, const ServerName& name);
  std::string obtained(const ServerName& name, const CertificatePtr& certificate) const;
  AcmeSource* find_source(const std::string& issuer);
  CertificateSource* find_issuer(const std::string& issuer);
  // "": the first one.
  AuthoritySource* find_authority(const std::string& issuer);
  // An address is not ordered on demand: only where the configuration lists it.
  std::optional<Error> refused_address(const ServerName& name);
  // ... and to the log.
  void tell(Event event);
  Task<std::vector<Event>> recent_events(std::string name, size_t limit);

  // Deeds that must not end half-way because whoever waits for them leaves: they go on.
  Task<std::string> see_through(Task<std::string> deed);
  Task<std::string> revoke_now(ServerName name, std::string reason);
  Task<std::string> revoke_slot(ServerName name, Slot slot, std::string reason);
  Task<std::string> rotate_now(AuthoritySource& source, bool root);
  Task<std::string> change_account_now(AcmeSource& source, AccountAct act);

  const Parts parts_;
  size_t visits_ = 0;  // operators who wait for obtain() or renew(); <= kMaxVisits
  size_t deeds_ = 0;   // under way; <= kMaxDeeds
  size_t imports_ = 0;
  std::unique_ptr<JobThread> importer_;  // null before the first import
  TaskSet tasks_;                        // goes first
};

}  // namespace latchkey::edge
