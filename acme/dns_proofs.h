#pragma once
#include <memory>
#include <string>

#include "acme/dns_prover.h"
#include "acme/dns_records.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/resolver.h"
#include "base/server_name.h"
#include "base/task.h"
#include "cache/store.h"

namespace latchkey::acme {

// Proofs by DNS-01 (RFC 8555, 8.4): publishes them, waits until they can be seen, and takes every
// one of them away again, whatever happens: each is in the store from before it is published until
// it is gone. Control thread.
class DnsProofs final : public DnsProver {
 public:
  struct Options {
    // A CNAME at _acme-challenge.<name> is followed and the record put where it leads.
    bool follow_cname = true;
    // So long it is waited for until the zone's own name servers all show the record (then the CA
    // is told in any case).
    Millis propagation_timeout{120'000};
    Millis poll{500};  // first; doubled up to 5 s
    // Added when all show it: for servers behind them.
    Millis settle{0};
    std::string resolvers{};  // "192.0.2.1:53": for our look-ups; "": the system's
  };
  struct Parts {
    DnsRecords& records;
    Resolver& resolver;
    Store& store;
    Clock& clock;
    Log& log;
  };
  // A record that is to stand for as long as this lives; then it is withdrawn in the background,
  // and again (1 min, 10 min, hourly) until that worked.
  class Proof {
   public:
    Proof();
    Proof(Proof&&) noexcept;
    Proof& operator=(Proof&&) noexcept;
    ~Proof();

   private:
    friend class DnsProofs;
    struct State;
    explicit Proof(std::unique_ptr<State> state);
    std::unique_ptr<State> state_;
  };

  DnsProofs(Options options, Parts parts);
  ~DnsProofs() override;
  DnsProofs(const DnsProofs&) = delete;

  // `name`: a host name or a wildcard, whose suffix is proven. `key_authorization`: RFC 8555, 8.1.
  // Two proofs of one name (a.test and *.a.test) stand beside each other.
  Task<Proof> publish(ServerName name, std::string key_authorization);
  Task<Standing> prove(ServerName name, std::string key_authorization) override {
    Task<Proof> publishing = publish(std::move(name), std::move(key_authorization));
    Proof proof = co_await std::move(publishing);
    co_return std::make_shared<const Proof>(std::move(proof));
  }
  // What an earlier life has left is withdrawn in the background. At the start.
  void clean_up();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace latchkey::acme
