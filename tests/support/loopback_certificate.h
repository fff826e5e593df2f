#pragma once
#include <string>

namespace latchkey::test {

struct PemPair {
  std::string certificate;
  std::string key;
};

// A self-signed certificate for 127.0.0.1 and localhost that is its own root: for servers that
// tests start.
PemPair make_loopback_certificate();

}  // namespace latchkey::test
