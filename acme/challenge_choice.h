#pragma once
#include <array>
#include <unordered_map>
#include <vector>

#include "acme/order.h"
#include "base/server_name.h"

namespace latchkey::acme {

// Which challenge to try first: what last worked for the name, else what works best overall, else
// the one configured first. A pure memory; one thread.
class ChallengeChoice {
 public:
  explicit ChallengeChoice(std::vector<ChallengeType> configured);

  // All configured types that can prove such a name, the one to try first in front: a wildcard is
  // proven by dns-01 alone (RFC 8555, 8.4), an address never (RFC 8738, 7).
  std::vector<ChallengeType> order_for(const ServerName& name) const;
  void worked(const ServerName& name, ChallengeType type);
  void failed(const ServerName& name, ChallengeType type);

 private:
  using Memory = std::unordered_map<ServerName, ChallengeType>;
  struct Tally {
    double good = 0;
    double tried = 0;
  };

  const ChallengeType* remembered(const ServerName& name) const;
  void count(ChallengeType type, bool good);
  double score(ChallengeType type) const;

  const std::vector<ChallengeType> configured_;
  std::array<Tally, kChallengeTypes>
      tallies_{};  // by type; halved now and then, so that old news fades
  Memory recent_;  // <= 10,000 names; when full it becomes `older_`
  Memory older_;
};

}  // namespace latchkey::acme
