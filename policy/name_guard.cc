#include "policy/name_guard.h"

#include <libpsl.h>

#include <string_view>

namespace latchkey {
namespace {

constexpr size_t kMaxLabels = 10;

// The newer of the distribution's list and the one compiled into libpsl; lives as long as we do.
const psl_ctx_t* public_suffixes() {
  static const psl_ctx_t* const list = [] {
    const psl_ctx_t* latest = psl_latest(nullptr);
    return latest != nullptr ? latest : psl_builtin();
  }();
  return list;
}

bool is_public_suffix(const ServerName& name) {
  // Without the implicit "*" rule: under a top level that the list does not know (test, localhost,
  // internal) nothing is a public suffix.
  const psl_ctx_t* const list = public_suffixes();
  return list != nullptr && psl_is_public_suffix2(list, name.text().c_str(),
                                                  PSL_TYPE_ICANN | PSL_TYPE_NO_STAR_RULE) == 1;
}

bool stutters(std::string_view name) {
  const std::string_view head = name.substr(0, name.find('.') + 1);  // "www."
  return !head.empty() && name.substr(head.size()).starts_with(head) &&
         (std::string(name.substr(2 * head.size())) + ".").starts_with(head);
}

Error broken(std::string_view rule) {
  return Error{ErrorCode::kDenied, std::string(rule)};
}

}  // namespace

Result<> guard_name(const ServerName& name) {
  if (name.is_ip()) return broken("an IP address gets a certificate only where it is listed");
  if (name.is_wildcard()) {
    const auto suffix = ServerName::parse(name.parent(), {.underscore = true});
    return suffix ? guard_name(*suffix) : suffix.error();
  }
  const size_t labels = name.labels();
  if (labels < 2) return broken("a name on demand needs at least two labels");
  if (labels > kMaxLabels) return broken("a name on demand has at most ten labels");
  if (stutters(name.text())) return broken("the same label three times in a row");
  if (is_public_suffix(name)) return broken("a public suffix, not a name under one");
  return Unit{};
}

std::string registered_domain(const ServerName& name) {
  if (name.is_ip()) return name.text();
  const std::string& text = name.text();
  const psl_ctx_t* const list = public_suffixes();
  if (list != nullptr) {
    // By the list's implicit "*" rule an unknown top level is a public suffix.
    const char* const domain = psl_registrable_domain(list, text.c_str());
    return domain != nullptr ? domain : text;
  }
  const size_t last = text.rfind('.');
  if (last == text.npos || last == 0) return text;
  const size_t before = text.rfind('.', last - 1);
  return before == text.npos ? text : text.substr(before + 1);
}

}  // namespace latchkey
