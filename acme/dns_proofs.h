#pragma once
#include <memory>
#include <string>

#include "acme/dns_prover.h"
#include "acme/dns_records.h"
#include "acme/dns_view.h"
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
    // is told in any case). 0: nobody is asked.
    Millis propagation_timeout{120'000};
    Millis poll{500};  // first; doubled up to 5 s
    // Added when all show it: for servers behind them.
    Millis settle{0};
    // "192.0.2.1:53,[2001:db8::1]:53": then it is these that have to show the record, each of them;
    // the zone's own name servers are not asked for. For name servers that cannot be reached from
    // here on port 53, or that are on another one. "": the zone's own.
    std::string resolvers{};
  };
  struct Parts {
    DnsRecords& records;
    Resolver& resolver;  // for CNAMEs and name servers; asks Options.resolvers where those are set
    Store& store;
    Clock& clock;
    Log& log;
  };
  // A record that is to stand for as long as this lives (or another proof with the same one); then
  // it is withdrawn in the background, and again (1 min, 10 min, hourly; 30 days at most) until
  // that worked. May outlive the DnsProofs: its record is then left to the next one's clean_up().
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
  // `view` stands in for the resolver; for tests.
  DnsProofs(Options options, Parts parts, std::unique_ptr<DnsView> view);
  ~DnsProofs() override;
  DnsProofs(const DnsProofs&) = delete;

  // `name`: a host name or a wildcard, whose suffix is proven. `key_authorization`: RFC 8555, 8.1.
  // Two proofs of one name (a.test and *.a.test) stand beside each other. Changes at one domain are
  // made one after the other. Dropping the task is like dropping its proof; a change that is under
  // way is brought to its end first. The task is dropped before this goes.
  Task<Proof> publish(ServerName name, std::string key_authorization);
  Task<Standing> prove(ServerName name, std::string key_authorization) override {
    Task<Proof> publishing = publish(std::move(name), std::move(key_authorization));
    Proof proof = co_await std::move(publishing);
    co_return std::make_shared<const Proof>(std::move(proof));
  }
  // What an earlier life has left is withdrawn in the background, save what a proof of this life
  // has a use for. At the start, and when another process has done our work for a while.
  void clean_up();

  // While another process takes over: no record's withdrawal begins any more, nor its publication
  // where nobody has a use for it; their rows stay, for the other one's clean_up().
  void hold();
  // It did not.
  void release();
  // A record is being changed just now.
  bool changing() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace latchkey::acme
