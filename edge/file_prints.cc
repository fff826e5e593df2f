#include "edge/file_prints.h"

#include "base/file.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxFile = 16 << 20;  // bytes; check_files() takes no longer ones

}  // namespace

FilePrints::Prints FilePrints::read(const Config& config) const {
  Prints out;
  const auto add = [&](std::string key, const std::optional<std::string>& named) {
    if (!named) return;
    const auto file = config.file(*named);
    const auto text = read_file(file, kMaxFile);
    out[std::move(key)] = {file, text ? SipHash(key_)(*text) : 0};
  };
  if (config.on_demand.ask) add("on_demand.ask.token_file", config.on_demand.ask->token_file);
  for (const Config::Issuer& issuer : config.issuers) {
    add("issuers[" + issuer.name + "].acme.ca_file", issuer.ca_file);
    if (!issuer.eab) continue;
    add("issuers[" + issuer.name + "].acme.eab.hmac_key_file", issuer.eab->hmac_key_file);
  }
  if (config.acme_server) {
    for (const EabConfig& key : config.acme_server->eab_keys) {
      add("acme_server.eab_keys[" + key.kid + "].hmac_key_file", key.hmac_key_file);
    }
  }
  if (config.dns && config.dns->rfc2136) {
    add("dns.rfc2136.secret_file", config.dns->rfc2136->secret_file);
  }
  if (config.webhook) add("events.webhook.secret_file", config.webhook->secret_file);
  return out;
}

std::vector<std::string> FilePrints::changed(const Config& now) const {
  std::vector<std::string> out;
  for (const auto& [key, print] : read(now)) {
    const auto before = prints_.find(key);
    if (before == prints_.end() || before->second.file != print.file) continue;  // another key says
    if (before->second.hash != print.hash) out.push_back(key);
  }
  return out;
}

}  // namespace latchkey::edge
