#include "edge/acme_serving.h"

#include <utility>

#include "base/check.h"
#include "edge/secret_files.h"

namespace latchkey::edge {
namespace {

acme::AcmeServerOptions with_names(acme::AcmeServerOptions options, const AllowedNames& allowed) {
  options.allows = [&allowed](const ServerName& name) { return allowed.contains(name); };
  return options;
}

}  // namespace

AcmeServing::AcmeServing(const AcmeServerConfig& from, acme::AcmeServerOptions options,
                         std::vector<acme::Authority*> authorities, acme::Authority& served,
                         AuthorityStore& store, Loop& loop, Log& log)
    : allowed_(from.allow),
      probes_(loop.uv(), loop.clock(), from.resolvers),
      server_(with_names(std::move(options), allowed_), served, store, probes_, loop.clock(), log),
      host_(std::move(authorities), served, server_) {}

Result<std::unique_ptr<AcmeServing>> AcmeServing::open(const Config& config,
                                                       std::vector<acme::Authority*> authorities,
                                                       AuthorityStore& store, Loop& loop,
                                                       Log& log) {
  const AcmeServerConfig& from = *config.acme_server;
  acme::AcmeServerOptions options;
  options.eab_required = from.eab_required;
  options.http_port = static_cast<uint16_t>(from.http_port);
  options.tls_port = static_cast<uint16_t>(from.tls_port);
  options.trusting = from.trusting;
  for (const EabConfig& one : from.eab_keys) {
    auto key = read_eab_key(config.file(one.hmac_key_file));
    if (!key) return std::move(key).error().in("acme_server.eab_keys: \"" + one.kid + "\"");
    options.eab_keys.emplace(one.kid, *std::move(key));
  }
  const std::string& name = config.issuers[*served_authority(config)].name;
  acme::Authority* served = nullptr;
  for (acme::Authority* const authority : authorities) {
    if (authority->options().name == name) served = authority;
  }
  CHECK(served != nullptr);
  if (from.trusting) {
    log.warning("acme_server_trusting",
                "acme_server.validation.trusting is set: every challenge counts as proven, so that "
                "whoever reaches this machine gets certificates for all allowed names; for load "
                "tests only",
                {{"issuer", name}});
  }
  return std::unique_ptr<AcmeServing>(
      new AcmeServing(from, std::move(options), std::move(authorities), *served, store, loop, log));
}

}  // namespace latchkey::edge
