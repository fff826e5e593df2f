// Lists for a person at a terminal: certificates, events, accounts.
#include <algorithm>

#include "edge/admin_rows.h"
#include "edge/admin_text.h"

namespace latchkey::edge {
namespace {

// "in 12 d", "3 d ago".
std::string distance(double seconds) {
  return seconds > 0 ? "in " + span_text(seconds) : span_text(-seconds) + " ago";
}

std::string expires(const JsonValue& certificate) {
  if (!has_number(certificate, "expires_in_seconds")) return "";
  const double left = number_of(certificate, "expires_in_seconds");
  return (left > 0 ? "expires " : "expired ") + distance(left);
}

// Of a list's row, or of what explain and show have under "renewal".
std::string renews(const JsonValue& plan) {
  const std::string denied = text_at(plan, "denied_since");
  if (!denied.empty()) return "denied since " + denied;
  if (text_at(plan, "next_look").empty()) return "renews when visited";
  if (!has_number(plan, "renew_in_seconds")) return "never renews";
  const double left = number_of(plan, "renew_in_seconds");
  return left > 0 ? "renews in " + span_text(left) : "renewal due";
}

std::string day_of(const std::string& time) {
  return time.substr(0, std::min(time.find('T'), time.size()));
}

std::string window_text(const JsonValue& plan) {
  const JsonValue* const window = object_of(plan, "window");
  if (window == nullptr) return "";
  std::string out = text_at(*window, "start");
  join(out, text_at(*window, "end"), " to ");
  return out;
}

}  // namespace

std::string CertificateTable::page(const JsonValue& certificates) {
  for (const JsonValue& row : list_of(certificates, "certificates")) {
    std::string used = day_of(text_at(row, "last_used"));
    if (!used.empty()) used = "used " + used;
    std::string key = text_at(row, "key_type");
    if (text_at(row, "slot") == "rsa") key += " twin";
    table_.add(
        {text_at(row, "name"), text_at(row, "issuer"), key, expires(row), renews(row), used});
  }
  return table_.take();
}

void add_renewal(Rows& rows, const JsonValue& renewal) {
  std::string when = renews(renewal);
  if (const std::string at = text_at(renewal, "renew_at"); !at.empty()) when += ", " + at;
  rows.add("renewal", when);
  rows.add("window", window_text(renewal));
  rows.add("next look", text_at(renewal, "next_look"));
  rows.add("last used", text_at(renewal, "last_used"));
}

std::string staple_text(const JsonValue& certificate) {
  const JsonValue* const staple = object_of(certificate, "staple");
  if (staple == nullptr) return text_at(certificate, "ocsp_responder").empty() ? "" : "none";
  std::string out = is_true(*staple, "good") ? "good from " : "ended: from ";
  out += text_at(*staple, "this_update");
  join(out, text_at(*staple, "next_update"), " to ");
  return out;
}

std::string certificate_text(const JsonValue& certificate) {
  Rows rows;
  rows.add("name", text_at(certificate, "name"));
  const JsonValue* const names = certificate.find("names");
  rows.add("names", names == nullptr ? "" : line_of(*names));
  rows.add("serial", text_at(certificate, "serial"));
  std::string key = text_at(certificate, "key_type");
  if (text_at(certificate, "slot") == "rsa") key += ", for clients that cannot do ECDSA";
  rows.add("key", key);
  rows.add("sha256", text_at(certificate, "sha256"));
  rows.add("made by", text_at(certificate, "ca"));
  rows.add("issuer", text_at(certificate, "issuer"));
  rows.add("account", text_at(certificate, "account"));
  std::string valid = text_at(certificate, "not_before");
  join(valid, text_at(certificate, "not_after"), " to ");
  join(valid, expires(certificate));
  rows.add("valid", valid);
  if (const std::string chain = text_at(certificate, "chain_not_after");
      chain != text_at(certificate, "not_after")) {
    rows.add("chain until", chain);
  }
  rows.add("responder", text_at(certificate, "ocsp_responder"));
  rows.add("staple", staple_text(certificate));
  if (const JsonValue* const renewal = object_of(certificate, "renewal")) {
    add_renewal(rows, *renewal);
  }
  if (const JsonValue* const twin = object_of(certificate, "twin")) {
    std::string text = text_at(*twin, "key_type");
    join(text, text_at(*twin, "serial"), " ");
    join(text, text_at(*twin, "not_after"), ", valid until ");
    rows.add("twin", text);
  }
  std::string out = rows.str();
  const std::string_view pem = certificate.text_of("pem");
  if (!pem.empty()) out += "\n" + printable_lines(pem);
  return out;
}

std::string event_lines(const JsonValue& answer, std::string_view indent) {
  const std::vector<JsonValue>& events = list_of(answer, "events");
  Table table(indent);
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    std::string about = text_at(*event, "name");
    if (about == text_at(answer, "name")) about.clear();  // all of them are about it
    join(about, text_at(*event, "issuer"), " ");
    table.add({text_at(*event, "at"), text_at(*event, "kind"), about, text_at(*event, "text")});
  }
  return table.take();
}

std::string events_text(const JsonValue& events) {
  const std::string lines = event_lines(events, "");
  return lines.empty() ? "No events.\n" : lines;
}

std::string accounts_text(const JsonValue& accounts) {
  std::string out;
  for (const JsonValue& account : list_of(accounts, "accounts")) {
    std::string state = text_at(account, "status");
    if (is_true(account, "deactivated")) state = "deactivated, by the operator";
    if (state.empty() && text_at(account, "url").empty()) state = "not registered yet";
    if (const std::string error = text_at(account, "error"); !error.empty()) state = error;
    std::string head = text_at(account, "issuer");
    join(head, state, ": ");
    Rows rows("  ");
    rows.add("account", text_at(account, "url"));
    rows.add("directory", text_at(account, "directory"));
    const JsonValue* const contact = account.find("contact");
    rows.add("contact", contact == nullptr ? "" : line_of(*contact));
    rows.add("external account", text_at(account, "eab_kid"));
    out += head + "\n" + rows.str();
  }
  return out;
}

std::string authorities_text(const JsonValue& authorities) {
  std::string out;
  for (const JsonValue& authority : list_of(authorities, "authorities")) {
    std::string head = text_at(authority, "issuer");
    join(head, text_at(authority, "error"), ": ");
    Rows rows("  ");
    rows.add("directory", text_at(authority, "directory"));
    rows.add("CRLs and OCSP", text_at(authority, "status_url"));
    rows.add("signed", std::to_string(static_cast<int64_t>(number_of(authority, "signed"))) +
                           " since the start");
    out += head + "\n" + rows.str();
    for (const JsonValue& signer : list_of(authority, "signers")) {
      Rows about("    ");
      about.add("serial", text_at(signer, "serial"));
      about.add("sha256", text_at(signer, "sha256"));
      about.add("valid",
                "from " + text_at(signer, "not_before") + " until " + text_at(signer, "not_after"));
      if (is_true(signer, "active")) about.add("replaced by", text_at(signer, "replace_at"));
      out += "  " + text_at(signer, "kind") + " " + text_at(signer, "subject") +
             (is_true(signer, "active") ? ", which signs" : "") + "\n" + about.str();
    }
  }
  return out.empty() ? "There is no embedded authority.\n" : out;
}

std::string roots_text(const JsonValue& roots) {
  return printable_lines(roots.text_of("pem"));
}

std::string deed_text(const JsonValue& done) {
  std::string out = text_at(done, "name");
  if (out.empty()) out = text_at(done, "issuer");
  out += "\n";
  if (const std::string says = text_at(done, "says"); !says.empty()) out += "  " + says + "\n";
  return out;
}

}  // namespace latchkey::edge
