#pragma once
// The admin API's JSON (docs/admin-api.md) as text for a person at a terminal. Lines end in '\n';
// what strangers wrote is escaped. Fields that are missing are left out.

#include <string>
#include <string_view>

#include "base/json.h"
#include "edge/admin_rows.h"

namespace latchkey::edge {

std::string status_text(const JsonValue& status);
std::string budget_text(const JsonValue& budget);
std::string explain_text(const JsonValue& name);
std::string obtain_text(const JsonValue& obtained);
std::string ask_text(const JsonValue& answer);
std::string reload_text(const JsonValue& reloaded);
// What a deed says of itself, in one line behind the name or the issuer.
std::string deed_text(const JsonValue& done);

std::string certificate_text(const JsonValue& certificate);  // and its chain in PEM
std::string events_text(const JsonValue& events);            // the newest last
std::string accounts_text(const JsonValue& accounts);
std::string authorities_text(const JsonValue& authorities);
std::string roots_text(const JsonValue& roots);  // PEM, nothing else

// Pages of the list of certificates, a line each; columns stay where they are from page to page
// unless they must be wider.
class CertificateTable {
 public:
  std::string page(const JsonValue& certificates);

 private:
  Table table_;
};

// Parts of explain_text().
// "good from ... to ..."; "none" where there is a responder; "" else.
std::string staple_text(const JsonValue& certificate);
void add_renewal(Rows& rows, const JsonValue& renewal);
std::string event_lines(const JsonValue& answer, std::string_view indent);

// Without control characters.
std::string printable(std::string_view text);
// The same, its lines kept, each with its end.
std::string printable_lines(std::string_view text);
// "45 s", "12 min", "23 h", "80 d".
std::string span_text(double seconds);

}  // namespace latchkey::edge
