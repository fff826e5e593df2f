#pragma once
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "edge/client_certificates.h"
#include "edge/config.h"

namespace latchkey::edge {

// What handshakes are held to: `tls` of the configuration with its files read. A value.
struct TlsPolicy {
  bool only_tls13 = false;
  std::string ciphers{};  // of TLS 1.2, as a list of BoringSSL's; "": ours
  std::string groups{};   // the same; "": ours
  std::shared_ptr<const ClientCertificates> clients{};  // null: nobody is asked

  // Errors name the file that is bad.
  static Result<TlsPolicy> load(const Config& config);
};

// The name by which BoringSSL knows a TLS 1.2 cipher suite that we offer (with forward secrecy and
// authenticated encryption), from that or from IANA's; null: we offer none of that name.
std::optional<std::string> find_cipher(std::string_view name);
std::vector<std::string> offered_ciphers();

// The same for groups (RFC 8446, 4.2.7): those that this build's BoringSSL has. X25519MLKEM768, the
// post-quantum one, is among them as soon as the library is new enough; drafts never are.
std::optional<std::string> find_group(std::string_view name);
std::vector<std::string> offered_groups();
// Those that are offered unless somebody says otherwise, as a list of BoringSSL's.
const std::string& default_groups();

}  // namespace latchkey::edge
