#pragma once
// Proofs for dns-01 in memory, which take test time and fail as they are told.

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include "acme/dns_prover.h"
#include "base/clock.h"

namespace latchkey::acme {

class FakeProver final : public DnsProver {
 public:
  explicit FakeProver(Clock& clock) : clock_(clock) {}

  Millis delay{1};
  std::optional<Error> broken;  // nothing is published
  int published = 0;

  Task<Standing> prove(ServerName name, std::string key_authorization) override {
    co_await sleep(clock_, delay);
    if (broken) co_return *broken;
    ++published;
    co_return std::make_shared<const Record>(*this, name.text(), std::move(key_authorization));
  }
  // Stands a proof of that name whose key authorization begins with this token?
  bool shows(const std::string& name, const std::string& token) const {
    for (const auto& [of, answer] : standing_) {
      if (of == name && answer.starts_with(token + ".")) return true;
    }
    return false;
  }
  size_t standing() const { return standing_.size(); }

 private:
  using Entry = std::pair<std::string, std::string>;  // name, key authorization
  class Record {
   public:
    Record(FakeProver& prover, std::string name, std::string answer)
        : prover_(prover), entry_(std::move(name), std::move(answer)) {
      prover_.standing_.insert(entry_);
    }
    Record(const Record&) = delete;
    ~Record() { prover_.standing_.erase(prover_.standing_.find(entry_)); }

   private:
    FakeProver& prover_;
    const Entry entry_;
  };

  Clock& clock_;
  std::multiset<Entry> standing_;
};

}  // namespace latchkey::acme
