#pragma once
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/challenge_dns.h"
#include "tests/support/edge.h"
#include "tests/support/ports.h"
#include "tests/support/temp_folder.h"

namespace latchkey::test {

// An edge that is a CA for other machines, and the DNS that it asks. Its host is "localhost", which
// every client finds without ado. The edge is not started; change its settings first.
class ValidatingAuthority {
 public:
  ValidatingAuthority();
  ~ValidatingAuthority();

  // `false` (and a failure of the test) where it does not come to serve its directory.
  bool start();

  std::string directory() const;            // URL
  std::filesystem::path root_file() const;  // PEM; from start() on
  // Of the configuration's acme_server, as JSON members.
  std::vector<std::string> allow{"*.test"};
  std::string more_keys{};  // each with a comma before it

  TempFolder folder;
  ReservedPort https, http;
  // Of what answers challenges: of the test's.
  const ReservedPort http_challenge{ReservedPort::Hold::kFree};
  const ReservedPort tls_challenge{ReservedPort::Hold::kFree};
  ChallengeDns dns{folder / "dns"};
  Edge edge;
};

}  // namespace latchkey::test
