// What the operator sees of embedded authorities, and can have them do. Never a private key.
#include "base/json.h"
#include "edge/control_steering.h"
#include "edge/listener.h"
#include "edge/steering_json.h"

namespace latchkey::edge {
namespace {

// Where ACME clients find it; "": it is not there for others.
std::string directory_of(const Config& config, const std::string& issuer) {
  const auto served = served_authority(config);
  if (!served || config.issuers[*served].name != issuer) return "";
  const int port = ListenAddress::parse(config.https.front())->port;
  return "https://" + config.acme_server->hosts.front() +
         (port == 443 ? "" : ":" + std::to_string(port)) + "/acme/" + issuer + "/directory";
}

std::string signer_json(const acme::Authority::SignerStatus& signer) {
  return JsonObject()
      .number("id", signer.id)
      .text("kind", signer.root ? "root" : "intermediate")
      .boolean("active", signer.active)
      .text("subject", signer.subject)
      .text("serial", signer.serial)
      .text("sha256", signer.sha256)
      .raw("not_before", time_json(signer.not_before))
      .raw("not_after", time_json(signer.not_after))
      .raw("replace_at", time_json(signer.replace_at))
      .str();
}

std::string authority_json(AuthoritySource& source, const Result<>& kept, const Config& config) {
  const std::string directory = directory_of(config, source.name());
  const std::string& status = source.authority().options().status_url;
  std::string signers;
  for (const acme::Authority::SignerStatus& signer : source.authority().signers()) {
    signers += (signers.empty() ? "" : ",") + signer_json(signer);
  }
  return JsonObject()
      .text("issuer", source.name())
      .raw("error", kept ? "null" : json_quote(kept.error().message))
      .raw("directory", directory.empty() ? "null" : json_quote(directory))
      .raw("status_url", status.empty() ? "null" : json_quote(status))
      .number("signed", static_cast<int64_t>(source.signed_count()))
      .raw("signers", "[" + signers + "]")
      .str();
}

Error no_authority(const std::string& issuer) {
  return {ErrorCode::kNotFound,
          issuer.empty()
              ? std::string("there is no embedded authority: no issuer has the key \"authority\"")
              : "no issuer with the key \"authority\" is called \"" + issuer + "\""};
}

}  // namespace

AuthoritySource* ControlSteering::find_authority(const std::string& issuer) {
  for (const auto& source : parts_.plane.authorities()) {
    if (issuer.empty() || source->name() == issuer) return source.get();
  }
  return nullptr;
}

Task<std::string> ControlSteering::authorities() {
  std::string list;
  for (const auto& source : parts_.plane.authorities()) {
    Task<> keeping = source->authority().keep();
    const Result<> kept = co_await std::move(keeping).result();
    list += (list.empty() ? "" : ",") + authority_json(*source, kept, parts_.config);
  }
  co_return JsonObject().raw("authorities", "[" + list + "]").str();
}

Task<std::string> ControlSteering::authority_roots(std::string issuer) {
  if (find_authority(issuer) == nullptr) co_return no_authority(issuer);
  std::string pem;
  for (const auto& source : parts_.plane.authorities()) {
    if (!issuer.empty() && source->name() != issuer) continue;
    Task<> keeping = source->authority().keep();
    co_await std::move(keeping);
    pem += source->authority().roots_pem();
  }
  co_return JsonObject().text("pem", pem).str();
}

Task<std::string> ControlSteering::rotate_authority(std::string issuer, bool root) {
  AuthoritySource* const source = find_authority(issuer);
  if (source == nullptr) co_return no_authority(issuer);
  if (issuer.empty() && parts_.plane.authorities().size() > 1) {
    co_return Error{ErrorCode::kInvalid, "there are several authorities: say which one"};
  }
  Task<std::string> deed = see_through(rotate_now(*source, root));
  co_return co_await std::move(deed).result();
}

Task<std::string> ControlSteering::rotate_now(AuthoritySource& source, bool root) {
  Task<> rotating = source.authority().rotate(root);
  Result<> outcome = co_await std::move(rotating).result();
  if (!outcome) co_return std::move(outcome).error().in("issuer " + source.name());
  parts_.log.info("authority_rotated", "by the operator",
                  {{"issuer", source.name()}, {"root", root ? "new" : "kept"}});
  co_return JsonObject()
      .text("issuer", source.name())
      .boolean("root", root)
      .text("says", root ? "There is a new root, and an intermediate under it. Clients that trust "
                           "the old root go on by a link until it ends; give them the new one: "
                           "latchkey authority root."
                         : "A new intermediate signs from now on. What the old one has signed "
                           "stays good.")
      .str();
}

}  // namespace latchkey::edge
