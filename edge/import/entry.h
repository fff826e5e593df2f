#pragma once
#include <optional>
#include <string>
#include <vector>

#include "cache/renewal.h"

namespace latchkey::edge {

// What a tree of another program holds, in the importer's terms. Nothing is judged yet.
struct ImportEntry {
  std::string path;                       // for people: where it was found
  std::string chain_pem;                  // leaf first
  std::string key_pem;                    // a secret
  std::string directory{};                // ACME directory URL of its CA; "": not known
  std::string account{};                  // account URL; "": not known
  std::optional<RenewalWindow> window{};  // ARI, where the tree has it
  std::optional<WallTime> renew_at{};     // ... and the instant chosen in it
};

struct ImportAccount {
  std::string path;
  std::string directory;
  std::string url;
  std::string key_pem;  // PEM, or a JWK (certbot); a secret
  std::string eab_kid{};
};

// Something that was not taken, and why.
struct ImportSkip {
  std::string path;
  std::string why;
  bool damaged = false;  // it should have been good
};

}  // namespace latchkey::edge
