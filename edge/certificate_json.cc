// The pieces of the admin API's answers that are about certificates in the store.
#include <openssl/sha.h>

#include "base/json.h"
#include "base/text.h"
#include "cache/pem.h"
#include "cache/private_key.h"
#include "edge/steering_json.h"

namespace latchkey::edge {
namespace {

std::string seconds_until(WallTime at, WallTime now) {
  if (at == RenewalPlan::kNever) return "null";
  return std::to_string((at - now).count());
}

std::string window_json(const std::optional<RenewalWindow>& window) {
  if (!window) return "null";
  return JsonObject()
      .text("start", iso_time(window->start))
      .text("end", iso_time(window->end))
      .str();
}

void add_plan(JsonObject& out, const RenewalPlan& plan, WallTime now) {
  out.raw("renew_at", time_json(plan.renew_at));
  out.raw("renew_in_seconds", seconds_until(plan.renew_at, now));
  out.raw("window", window_json(plan.window));
  out.raw("next_look", time_json(plan.look_at));
  out.raw("denied_since", plan.denied_since ? time_json(*plan.denied_since) : "null");
}

std::string fingerprint(const std::string& der) {
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const uint8_t*>(der.data()), der.size(), digest);
  return to_hex(digest, sizeof digest);
}

std::string staple_json(const Certificate& certificate, WallTime now) {
  const StaplePtr& staple = certificate.staple();
  if (staple == nullptr) return "null";
  return JsonObject()
      .raw("this_update", time_json(staple->this_update))
      .raw("next_update", time_json(staple->next_update))
      .boolean("good", staple->good_at(now))
      .str();
}

std::string_view slot_word(Slot slot) {
  return slot == Slot::kRsa ? "rsa" : "main";
}

}  // namespace

std::string time_json(WallTime at) {
  if (at == WallTime{} || at == WallTime::max()) return "null";
  return json_quote(iso_time(at));
}

std::string certificate_json(const CertificatePtr& certificate, bool in_memory, bool stored,
                             WallTime now) {
  if (certificate == nullptr) return "null";
  return JsonObject()
      .text("serial", certificate->serial())
      .text("ca", certificate->issuer())
      .text("not_before", iso_time(certificate->not_before()))
      .text("not_after", iso_time(certificate->not_after()))
      .raw("names", json_list(certificate->names()))
      .text("key_type", key_type_of(certificate->key()))
      .raw("staple", staple_json(*certificate, now))
      .boolean("in_memory", in_memory)
      .boolean("stored", stored)
      .str();
}

std::string info_json(const CertificateInfo& info, WallTime now) {
  JsonObject out;
  out.text("name", info.name.text()).text("slot", slot_word(info.slot));
  out.text("issuer", info.issuer);
  out.text("serial", info.serial).text("key_type", info.key_type);
  out.text("not_before", iso_time(info.not_before)).text("not_after", iso_time(info.end));
  out.raw("expires_in_seconds", seconds_until(info.end, now));
  add_plan(out, info.plan, now);
  out.raw("last_used", time_json(info.last_used));
  return out.str();
}

std::string renewal_json(const std::optional<CertificateInfo>& info, WallTime now) {
  if (!info) return "null";
  JsonObject out;
  out.text("issuer", info->issuer);
  add_plan(out, info->plan, now);
  out.raw("window_asked_at", time_json(info->plan.poll_at));
  out.raw("last_used", time_json(info->last_used));
  return out.str();
}

std::string order_json(const std::optional<PendingOrder>& order) {
  if (!order) return "null";
  return JsonObject()
      .text("issuer", order->issuer)
      .text("url", order->url)
      .raw("made", time_json(order->made))
      .boolean("renewal", order->renewal)
      .str();
}

std::string events_json(const std::vector<Event>& events) {
  std::string out;
  for (const Event& event : events) {
    const bool told = !event.details.empty() && parse_json(event.details);
    if (!out.empty()) out += ",";
    out += JsonObject()
               .raw("at", time_json(event.at))
               .text("kind", event.kind)
               .text("name", event.name)
               .text("issuer", event.issuer)
               .text("text", event.text)
               .raw("details", told ? event.details : "null")
               .str();
  }
  return "[" + out + "]";
}

std::string full_certificate_json(const Certificate& certificate,
                                  const std::optional<CertificateInfo>& info, bool in_memory,
                                  const std::string& twin, WallTime now) {
  const std::vector<std::string> chain = certificate.chain_der();
  std::string pem;
  for (const std::string& der : chain) pem += certificate_pem(der);
  JsonObject out;
  if (info) out.text("name", info->name.text());
  out.raw("names", json_list(certificate.names())).text("serial", certificate.serial());
  out.text("ca", certificate.issuer());
  if (info) out.text("issuer", info->issuer).text("account", info->account);
  if (info) out.text("slot", slot_word(info->slot));
  out.text("key_type", key_type_of(certificate.key()));
  out.text("sha256", chain.empty() ? "" : fingerprint(chain.front()));
  out.text("not_before", iso_time(certificate.not_before()));
  out.text("not_after", iso_time(certificate.not_after()));
  out.text("chain_not_after", iso_time(certificate.chain_not_after()));
  out.raw("expires_in_seconds", seconds_until(certificate.not_after(), now));
  out.raw("ocsp_responder",
          certificate.ocsp_responder().empty() ? "null" : json_quote(certificate.ocsp_responder()));
  out.raw("staple", staple_json(certificate, now));
  out.boolean("in_memory", in_memory).boolean("stored", info.has_value());
  out.raw("renewal", renewal_json(info, now)).raw("twin", twin).text("pem", pem);
  return out.str();
}

}  // namespace latchkey::edge
