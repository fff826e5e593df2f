#pragma once
#include <uv.h>

#include <memory>
#include <string>

#include "acme/dns_records.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"

namespace latchkey::edge {

// Records by the operator's program, called as `PROGRAM present|cleanup _acme-challenge.a.test.
// VALUE` (the way of lego's exec provider), with PATH as its whole environment. It ends with 0 once
// the record is there, or gone; what it says when it fails is in the error. One call at a time, in
// the order of their coming: many providers' zones are changed by reading and writing them whole.
// Control thread.
class DnsHook final : public acme::DnsRecords {
 public:
  struct Options {
    std::string program;
    Millis timeout{120'000};
  };
  DnsHook(Options options, Loop& loop, Log& log)
      : DnsHook(std::move(options), loop.uv(), loop.clock(), log) {}
  // All outlive us.
  DnsHook(Options options, uv_loop_t& loop, Clock& clock, Log& log);
  ~DnsHook() override;

  // Errors (kIo): it failed, could not be started, or took too long; kThrottled: over 10 min behind
  // other calls. Dropping the task ends the program with SIGTERM; the record may be there then.
  Task<> publish(std::string domain, std::string value) override;
  Task<> withdraw(std::string domain, std::string value) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
