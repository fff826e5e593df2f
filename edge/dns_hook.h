#pragma once
#include <memory>
#include <string>

#include "acme/dns_records.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"

namespace latchkey::edge {

// Records by the operator's program, called as `PROGRAM present|cleanup _acme-challenge.a.test.
// VALUE` (the way of lego's exec provider). It ends with 0 once the record is there, or gone. One
// call at a time. Control thread.
class DnsHook final : public acme::DnsRecords {
 public:
  struct Options {
    std::string program;
    Millis timeout{120'000};
  };
  DnsHook(Options options, Loop& loop, Log& log);
  ~DnsHook() override;

  Task<> publish(std::string domain, std::string value) override;
  Task<> withdraw(std::string domain, std::string value) override;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace latchkey::edge
