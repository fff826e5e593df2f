#include <algorithm>

#include "edge/config_read.h"
#include "edge/listener.h"
#include "edge/routes.h"

namespace latchkey::edge {
namespace {

using namespace std::chrono_literals;

constexpr size_t kMaxResolvers = 8;

bool is_upstream(std::string_view text) {
  return parse_upstream(text).has_value();
}

// A numeric address, an IPv6 one in brackets, with or without a port; "" for anything else.
std::string with_dns_port(std::string_view text) {
  for (const char* port : {"", ":53"}) {
    std::string candidate = std::string(text) + port;
    const auto address = ListenAddress::parse(candidate);
    if (address && address->port > 0) return candidate;
  }
  return {};
}
bool is_dns_server(std::string_view text) {
  return !with_dns_port(text).empty();
}

// Of a zone or a TSIG key: more than host names may have.
bool is_dns_name(std::string_view text) {
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.' || c == '/';
  });
}

void read_certificate(Section& section, std::vector<ConfiguredFiles>& out) {
  ConfiguredFiles& files = out.emplace_back();
  section.optional_text("dir", files.dir, "a folder's path", is_not_empty);
  CertificateFiles pair;
  section.text("cert_file", pair.cert_file, "a file's path", is_not_empty);
  section.text("key_file", pair.key_file, "a file's path", is_not_empty);
  const bool has_cert = section.has("cert_file"), has_key = section.has("key_file");
  if (has_cert != has_key || (has_cert && files.dir) || (!has_cert && !files.dir)) {
    section.complain(
        "expected {\"cert_file\": \"fullchain.pem\", \"key_file\": \"privkey.pem\"} or "
        "{\"dir\": \"/etc/letsencrypt/live\"}");
  }
  if (has_cert) files.pair = std::move(pair);
}

void read_dns_hook(Section& section, DnsConfig::Hook& out) {
  section.text("program", out.program, "a program's path", is_not_empty);
  section.duration("timeout", 1s, 1h, out.timeout);
  require(section, "program", "what puts and removes the records");
}

void read_rfc2136(Section& section, DnsConfig::Rfc2136& out) {
  section.text("server", out.server,
               "the address of the zone's primary name server like \"192.0.2.1\" or "
               "\"[2001:db8::1]:53\"",
               is_dns_server);
  if (!out.server.empty()) out.server = with_dns_port(out.server);
  std::optional<std::string> zone, key_name;
  section.optional_text("zone", zone, "a zone's name or null", is_dns_name);
  section.optional_text("key_name", key_name, "the TSIG key's name or null", is_dns_name);
  out.zone = zone.value_or("");
  out.key_name = key_name.value_or("");
  size_t algorithm = 0;
  section.choice("algorithm", kTsigAlgorithms, algorithm);
  out.algorithm = kTsigAlgorithms[algorithm];
  section.optional_text("secret_file", out.secret_file, "a file's path or null", is_not_empty);
  section.integer("ttl", 0, 86'400, out.ttl);
  require(section, "server", "the zone's primary name server");
  if (out.key_name.empty() != !out.secret_file) {
    section.complain("key_name and secret_file go together: both of the TSIG key, or neither");
  }
}

void read_dns(Section& section, DnsConfig& out) {
  read_optional(section, "hook",
                "an object like {\"program\": \"/usr/local/bin/dns-challenge\"}, or null", out.hook,
                read_dns_hook);
  read_optional(section, "rfc2136",
                "an object like {\"server\": \"192.0.2.1\", \"key_name\": \"acme\", "
                "\"secret_file\": \"tsig-secret\"}, or null",
                out.rfc2136, read_rfc2136);
  section.boolean("follow_cname", out.follow_cname);
  section.duration("propagation_timeout", 0ms, 30min, out.propagation_timeout);
  section.duration("settle", 0ms, 30min, out.settle);
  read_resolvers(section, out.resolvers);
  if (out.hook.has_value() == out.rfc2136.has_value()) {
    section.complain("expected one of \"hook\" and \"rfc2136\": how the records are put");
  }
}

void read_export_hook(Section& section, HookConfig& out) {
  section.text("program", out.program, "a program's path", is_not_empty);
  section.duration("timeout", 100ms, 1h, out.timeout);
  require(section, "program", "what is to be run after changes");
}

void read_export(Section& section, ExportConfig& out) {
  section.text("dir", out.dir, "a folder's path", is_not_empty);
  require(section, "dir", "the folder that certificates are written to");
  read_optional(section, "hook",
                "an object like {\"program\": \"/usr/local/bin/reload-mail-server\"}, or null",
                out.hook, read_export_hook);
}

}  // namespace

void read_files_and_dns(Section& top, Config& out) {
  top.sections("certificates",
               [&](Section& section) { read_certificate(section, out.certificates); });
  auto rsa = static_cast<size_t>(out.rsa);
  top.choice("rsa", kRsaWords, rsa);
  out.rsa = static_cast<RsaTwins>(rsa);
  {
    Section ocsp = top.section("ocsp");
    ocsp.boolean("enabled", out.ocsp);
  }
  read_optional(
      top, "dns",
      "an object like {\"hook\": {\"program\": \"/usr/local/bin/dns-challenge\"}}, or null",
      out.dns, read_dns);
  read_optional(top, "export", "an object like {\"dir\": \"/var/lib/latchkey/export\"}, or null",
                out.export_to, read_export);
  top.optional_text("challenge_upstream", out.challenge_upstream,
                    "a URL like \"http://127.0.0.1:8888\" or null", is_upstream);
}

void read_resolvers(Section& section, std::string& out) {
  std::vector<std::string> resolvers;
  section.texts("resolvers", resolvers, "a list of addresses like \"192.0.2.1\"", is_dns_server);
  if (resolvers.size() > kMaxResolvers) {
    section.complain_at("resolvers", "expected at most 8 addresses");
  }
  for (const std::string& one : resolvers) {
    out += (out.empty() ? "" : ",") + with_dns_port(one);
  }
}

}  // namespace latchkey::edge
