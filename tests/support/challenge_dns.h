#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "tests/support/ports.h"
#include "tests/support/process.h"

namespace latchkey::test {

// Debian's pebble-challtestsrv: a DNS on a port of 127.0.0.1 in which every name is 127.0.0.1, and
// has the records that a test gives it.
class ChallengeDns {
 public:
  explicit ChallengeDns(std::filesystem::path folder);  // it answers when this is made

  std::string address() const;  // "127.0.0.1:10053"
  // "127.0.0.1:10055": where programs can tell it, by HTTP, as add_txt() does.
  std::string management() const;
  // Names without trailing dots. They last for as long as this does.
  void add_txt(std::string_view name, std::string_view value);
  void add_cname(std::string_view name, std::string_view target);
  void fail(std::string_view name);  // SERVFAIL

 private:
  void tell(std::string_view what, const std::string& json);

  ReservedPort port_{ReservedPort::Hold::kFree};
  ReservedPort management_port_{ReservedPort::Hold::kFree};
  std::optional<Process> process_;
};

}  // namespace latchkey::test
