// `tls`: what handshakes are held to.
#include <algorithm>

#include "edge/config_read.h"
#include "edge/tls_policy.h"

namespace latchkey::edge {
namespace {

std::string joined(const std::vector<std::string>& items) {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

bool is_cipher(std::string_view text) {
  return find_cipher(text).has_value();
}
bool is_group(std::string_view text) {
  return find_group(text).has_value();
}
// No address: those are written in many ways, and a request for one must not be taken for another.
bool is_host(std::string_view text) {
  const auto name = parse_managed(text);
  return name && !name->is_ip();
}

void read_client_certificates(Section& section, ClientCertificatesConfig& out) {
  section.text("ca_file", out.ca_file, "a file's path", is_not_empty);
  size_t mode = out.required ? 1 : 0;
  section.choice("mode", kClientCertificateModes, mode);
  out.required = mode == 1;
  std::vector<std::string> hosts;
  section.texts("hosts", hosts, "a list of names and \"*.suffix\" patterns", is_host);
  if (section.has("hosts") && hosts.empty()) {
    section.complain_at("hosts", "expected at least one; for all hosts, leave it out");
  }
  out.hosts.clear();
  for (const std::string& host : hosts) {
    if (const auto name = parse_managed(host)) out.hosts.push_back(name->text());
  }
  require(section, "ca_file", "the certificates of the CAs that vouch for clients, PEM");
}

}  // namespace

void read_tls(Section section, TlsConfig& out) {
  size_t version = out.only_tls13 ? 1 : 0;
  section.choice("min_version", kTlsVersions, version);
  out.only_tls13 = version == 1;
  const std::string ciphers = "TLS 1.2 cipher suites out of " + joined(offered_ciphers());
  const std::string groups =
      "groups that the BoringSSL of this build has: " + joined(offered_groups());
  section.texts("ciphers", out.ciphers, ciphers.c_str(), is_cipher);
  section.texts("groups", out.groups, groups.c_str(), is_group);
  for (std::string& cipher : out.ciphers) cipher = find_cipher(cipher).value_or(cipher);
  for (std::string& group : out.groups) group = find_group(group).value_or(group);
  if (out.only_tls13 && !out.ciphers.empty()) {
    section.complain_at("ciphers",
                        "these are of TLS 1.2, which min_version leaves out; TLS 1.3's cannot be "
                        "chosen");
  }
  read_optional(section, "client_certificates",
                "an object like {\"ca_file\": \"clients.pem\", \"mode\": \"require\"}, or null",
                out.client_certificates, read_client_certificates);
}

}  // namespace latchkey::edge
