#include "edge/tls_policy.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <array>

namespace latchkey::edge {
namespace {

struct Names {
  const char* ours;
  std::array<const char*, 2> others;  // null: no more
};

constexpr std::array<Names, 6> kCiphers{{
    {"ECDHE-ECDSA-AES128-GCM-SHA256", {"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256", nullptr}},
    {"ECDHE-ECDSA-CHACHA20-POLY1305", {"TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256", nullptr}},
    {"ECDHE-ECDSA-AES256-GCM-SHA384", {"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384", nullptr}},
    {"ECDHE-RSA-AES128-GCM-SHA256", {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", nullptr}},
    {"ECDHE-RSA-CHACHA20-POLY1305", {"TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256", nullptr}},
    {"ECDHE-RSA-AES256-GCM-SHA384", {"TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", nullptr}},
}};

// In our order of preference; P-521 only where somebody says so.
constexpr std::array<Names, 5> kGroups{{
    {"X25519MLKEM768", {nullptr, nullptr}},
    {"X25519", {"x25519", nullptr}},
    {"P-256", {"secp256r1", "prime256v1"}},
    {"P-384", {"secp384r1", nullptr}},
    {"P-521", {"secp521r1", nullptr}},
}};

template <size_t N>
std::optional<std::string> find(const std::array<Names, N>& table, std::string_view name) {
  for (const Names& names : table) {
    if (name == names.ours) return names.ours;
    for (const char* const other : names.others) {
      if (other != nullptr && name == other) return names.ours;
    }
  }
  return std::nullopt;
}

bool library_has_group(const char* name) {
  const bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_server_method()));
  const bool has = context != nullptr && SSL_CTX_set1_curves_list(context.get(), name) == 1;
  ERR_clear_error();
  return has;
}

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ":") + item;
  return out;
}

}  // namespace

std::optional<std::string> find_cipher(std::string_view name) {
  return find(kCiphers, name);
}

std::vector<std::string> offered_ciphers() {
  std::vector<std::string> out;
  out.reserve(kCiphers.size());
  for (const Names& names : kCiphers) out.emplace_back(names.ours);
  return out;
}

std::vector<std::string> offered_groups() {
  static const std::vector<std::string> found = [] {
    std::vector<std::string> out;
    out.reserve(kGroups.size());
    for (const Names& names : kGroups) {
      if (library_has_group(names.ours)) out.emplace_back(names.ours);
    }
    return out;
  }();
  return found;
}

const std::string& default_groups() {
  static const std::string made = [] {
    std::vector<std::string> groups = offered_groups();
    std::erase(groups, "P-521");
    return joined(groups);
  }();
  return made;
}

std::optional<std::string> find_group(std::string_view name) {
  auto found = find(kGroups, name);
  if (!found) return std::nullopt;
  for (const std::string& offered : offered_groups()) {
    if (offered == *found) return found;
  }
  return std::nullopt;
}

Result<TlsPolicy> TlsPolicy::load(const Config& config) {
  TlsPolicy out;
  out.only_tls13 = config.tls.only_tls13;
  out.ciphers = joined(config.tls.ciphers);
  out.groups = joined(config.tls.groups);
  if (config.tls.client_certificates) {
    const ClientCertificatesConfig& wanted = *config.tls.client_certificates;
    auto clients = ClientCertificates::load(wanted, config.file(wanted.ca_file).string());
    if (!clients) return std::move(clients).error();
    out.clients = *std::move(clients);
  }
  return out;
}

}  // namespace latchkey::edge
