#include "edge/admin_names.h"

#include <array>
#include <optional>
#include <utility>

#include "acme/revocation.h"
#include "base/json.h"
#include "base/text.h"
#include "edge/admin_query.h"
#include "edge/admin_reply.h"

namespace latchkey::edge {
namespace {

constexpr size_t kShownBytes = 100;  // of a bad name
constexpr size_t kMaxText = 253;     // of what is looked for among names
constexpr size_t kMaxPage = 1000;
constexpr std::string_view kNames = "/names/";

// What is only looked at or deleted may be of an earlier configuration.
constexpr ServerNameRules kLenient{.underscore = true};

// What is wanted of one name. The words in their order.
enum class Verb { kAsk, kObtain, kRenew, kRevoke, kEvict, kRetry, kCertificate, kEvents, kNone };
constexpr std::array<std::string_view, 6> kDeeds{"ask",    "obtain", "renew",
                                                 "revoke", "evict",  "retry"};

struct NamePath {
  std::string_view name;  // still percent-encoded
  Verb verb = Verb::kNone;
};

// What is behind "/names/". Colons are a verb's, but for those of an IPv6 address.
std::optional<NamePath> split(std::string_view rest) {
  NamePath path{rest};
  const size_t slash = rest.find('/');
  const size_t colon = rest.rfind(':');
  if (slash != std::string_view::npos) {
    const std::string_view part = rest.substr(slash + 1);
    if (part != "certificate" && part != "events") return {};
    path = {rest.substr(0, slash), part == "events" ? Verb::kEvents : Verb::kCertificate};
  } else if (colon != std::string_view::npos) {
    for (size_t i = 0; i < kDeeds.size(); ++i) {
      if (rest.substr(colon + 1) != kDeeds[i]) continue;
      path = {rest.substr(0, colon), static_cast<Verb>(i)};
    }
  }
  if (path.name.find(':') != std::string_view::npos && !ServerName::parse_ip(path.name)) return {};
  return path;
}

const char* methods_of(Verb verb) {
  switch (verb) {
    case Verb::kNone:
      return "GET, DELETE";
    case Verb::kCertificate:
    case Verb::kEvents:
      return "GET";
    default:
      return "POST";
  }
}

bool fits(Verb verb, std::string_view method) {
  return method == methods_of(verb) ||
         (verb == Verb::kNone && (method == "GET" || method == "DELETE"));
}

// A name or a wildcard, else an address in its canonical spelling.
Result<ServerName> parse_name_or_address(std::string_view text, ServerNameRules rules) {
  Result<ServerName> name = parse_name(text, rules);
  if (name) return name;
  Result<ServerName> address = ServerName::parse_ip(text);
  return address ? std::move(address) : std::move(name);
}

// The word of RFC 5280 in a body like {"reason": "keyCompromise"}; without one "unspecified".
Result<std::string> reason_in(const std::string& body) {
  using acme::RevocationReason;
  std::string word(to_string(RevocationReason::kUnspecified));
  if (!body.empty()) {
    const Result<JsonValue> json = parse_json(body);
    if (!json) return Error{ErrorCode::kInvalid, "the body is no JSON: " + json.error().message};
    const JsonValue* const reason = json->find("reason");
    const size_t expected = reason == nullptr ? 0 : 1;
    const bool text = reason == nullptr || reason->is(JsonValue::Kind::kString);
    if (!json->is(JsonValue::Kind::kObject) || json->members.size() != expected || !text) {
      return Error{ErrorCode::kInvalid,
                   R"(expected {"reason": "keyCompromise"} or nothing, got )" + json_show(*json)};
    }
    if (reason != nullptr) word = reason->text;
  }
  if (acme::revocation_reason_from(word)) return word;
  std::string words;
  for (const RevocationReason known :
       {RevocationReason::kUnspecified, RevocationReason::kKeyCompromise,
        RevocationReason::kAffiliationChanged, RevocationReason::kSuperseded,
        RevocationReason::kCessationOfOperation}) {
    words += (words.empty() ? "" : ", ") + std::string(to_string(known));
  }
  return Error{ErrorCode::kInvalid,
               "reason: expected one of " + words + ", got " + json_quote(shown_name(word))};
}

// `reason`: for kRevoke.
Task<std::string> begin(Steering& steering, Verb verb, bool end_it, ServerName name,
                        std::string reason) {
  switch (verb) {
    case Verb::kAsk:
      return steering.ask(std::move(name));
    case Verb::kObtain:
      return steering.obtain(std::move(name));
    case Verb::kRenew:
      return steering.renew(std::move(name));
    case Verb::kRevoke:
      return steering.revoke(std::move(name), std::move(reason));
    case Verb::kEvict:
      return steering.evict(std::move(name));
    case Verb::kRetry:
      return steering.retry(std::move(name));
    case Verb::kCertificate:
      return steering.show_certificate(std::move(name));
    case Verb::kEvents:
    case Verb::kNone:
      break;
  }
  return end_it ? steering.forget(std::move(name)) : steering.explain(std::move(name));
}

// The newest so many of one name, or (nullopt) of all.
Task<AdminReply> events_of(Steering& steering, std::optional<ServerName> name, std::string query) {
  AdminQuery parameters(query);
  size_t limit = 100;
  if (!name) {
    std::string text;
    parameters.text("name", kMaxText, text);
    if (!text.empty()) {
      Result<ServerName> parsed = parse_name_or_address(text, kLenient);
      if (!parsed) co_return refused(400, shown_name(text) + ": " + parsed.error().message);
      name = *std::move(parsed);
    }
  }
  parameters.number("limit", 1, kMaxPage, limit);
  if (const std::string complaint = parameters.complaint(); !complaint.empty()) {
    co_return refused(400, complaint);
  }
  Task<std::string> work = steering.events(std::move(name), limit);
  Result<std::string> outcome = co_await std::move(work).result();
  co_return reply_of(std::move(outcome));
}

}  // namespace

Result<ServerName> parse_name(std::string_view text, ServerNameRules rules) {
  if (text.starts_with("*.")) return ServerName::parse_wildcard(text, rules);
  auto name = ServerName::parse(text, rules);
  if (name || rules.underscore || text.find('_') == std::string_view::npos) return name;
  Error error = std::move(name).error();
  if (ServerName::parse(text, kLenient)) error.message += " (on_demand.underscore allows '_')";
  return error;
}

std::string shown_name(std::string_view name) {
  return std::string(name.substr(0, kShownBytes)) + (name.size() > kShownBytes ? "..." : "");
}

Task<AdminReply> answer_list(Steering& steering, AdminRequest request) {
  AdminQuery parameters(request.query);
  CertificateQuery query;
  parameters.text("after", kMaxText, query.after);
  parameters.text("contains", kMaxText, query.contains);
  parameters.number("limit", 1, kMaxPage, query.limit);
  parameters.time("expires_before", query.ends_before);
  if (const std::string complaint = parameters.complaint(); !complaint.empty()) {
    co_return refused(400, complaint);
  }
  for (std::string* const text : {&query.after, &query.contains}) {
    *text = lower(*text);
  }
  Task<std::string> work = steering.list_certificates(std::move(query));
  Result<std::string> outcome = co_await std::move(work).result();
  co_return reply_of(std::move(outcome));
}

Task<AdminReply> answer_events(Steering& steering, AdminRequest request) {
  Task<AdminReply> answering = events_of(steering, {}, std::move(request.query));
  co_return co_await std::move(answering).result();
}

Task<AdminReply> answer_name(Steering& steering, AdminRequest request) {
  const std::string rest = request.path.substr(kNames.size());
  const std::optional<NamePath> path = split(rest);
  if (!path) {
    co_return refused(404,
                      "no such path: /names/{n}, /names/{n}/certificate, /names/{n}/events, and "
                      "/names/{n} with :ask, :obtain, :renew, :revoke, :evict or :retry");
  }
  if (!fits(path->verb, request.method)) co_return only(methods_of(path->verb));

  const std::optional<std::string> text = percent_decode(path->name);
  if (!text) co_return refused(400, "the path has a % without two hexadecimal digits behind it");
  const bool orders = path->verb == Verb::kObtain || path->verb == Verb::kRetry;
  const ServerNameRules rules = orders ? steering.name_rules() : kLenient;
  Result<ServerName> name = parse_name_or_address(*text, rules);
  if (!name) {
    const std::string which = text->empty() ? "" : shown_name(*text) + ": ";
    co_return refused(400, which + name.error().message);
  }
  if (path->verb == Verb::kEvents) {
    Task<AdminReply> answering = events_of(steering, *std::move(name), std::move(request.query));
    co_return co_await std::move(answering).result();
  }
  std::string reason;
  if (path->verb == Verb::kRevoke) {
    Result<std::string> word = reason_in(request.body);
    if (!word) co_return refused(400, word.error().message);
    reason = *std::move(word);
  }
  const bool end_it = request.method == "DELETE";
  Task<std::string> work = begin(steering, path->verb, end_it, *std::move(name), std::move(reason));
  Result<std::string> outcome = co_await std::move(work).result();
  co_return reply_of(std::move(outcome));
}

}  // namespace latchkey::edge
