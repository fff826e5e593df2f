#include "edge/admin_api.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "base/json.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxNames = 100'000;  // in one POST /names
constexpr size_t kShownBad = 20;       // of the bad names among them
constexpr size_t kShownBytes = 100;    // of a bad name
constexpr std::string_view kNames = "/names/";

AdminReply ok(std::string json) {
  AdminReply reply;
  reply.json = std::move(json);
  return reply;
}

AdminReply refused(int status, std::string_view why) {
  AdminReply reply;
  reply.status = status;
  reply.json = JsonObject().text("error", why).str();
  return reply;
}

AdminReply only(std::string methods) {
  AdminReply reply = refused(405, "this path is for " + methods);
  reply.allow = std::move(methods);
  return reply;
}

int status_of(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
      return 400;
    case ErrorCode::kDenied:
      return 409;
    case ErrorCode::kNotFound:
      return 404;
    case ErrorCode::kThrottled:
      return 503;
    case ErrorCode::kTimeout:
    case ErrorCode::kIo:
    case ErrorCode::kProtocol:
      break;
  }
  return 502;
}

AdminReply reply_of(Result<std::string> outcome) {
  if (outcome) return ok(*std::move(outcome));
  const Error& error = outcome.error();
  AdminReply reply;
  reply.status = status_of(error.code);
  JsonObject json;
  json.text("error", error.message);
  if (error.code == ErrorCode::kThrottled && error.retry_after > Millis(0)) {
    reply.retry_after = std::chrono::ceil<std::chrono::seconds>(error.retry_after).count();
    json.number("retry_after", reply.retry_after);
  }
  reply.json = json.str();
  return reply;
}

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    if (i + 2 >= text.size()) return std::nullopt;
    const int high = hex(text[i + 1]), low = hex(text[i + 2]);
    if (high < 0 || low < 0) return std::nullopt;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// What is only looked at or deleted may be of an earlier configuration.
constexpr ServerNameRules kLenient{.underscore = true};

Result<ServerName> parse_name(std::string_view text, ServerNameRules rules) {
  auto name = ServerName::parse(text, rules);
  if (name || rules.underscore || text.find('_') == std::string_view::npos) return name;
  Error error = std::move(name).error();
  if (ServerName::parse(text, kLenient)) error.message += " (on_demand.underscore allows '_')";
  return error;
}

std::string shown(std::string_view name) {
  return std::string(name.substr(0, kShownBytes)) + (name.size() > kShownBytes ? "..." : "");
}

// ---- one name

enum class Verb { kNone, kAsk, kObtain, kUnknown };

struct NamePath {
  std::string_view name;  // still percent-encoded
  Verb verb = Verb::kNone;
};

// What is behind "/names/"; a name has no colon.
NamePath split(std::string_view rest) {
  const size_t colon = rest.find(':');
  if (colon == std::string_view::npos) return {rest, Verb::kNone};
  const std::string_view word = rest.substr(colon + 1);
  const Verb verb = word == "ask" ? Verb::kAsk : word == "obtain" ? Verb::kObtain : Verb::kUnknown;
  return {rest.substr(0, colon), verb};
}

Task<AdminReply> answer_name(Steering& steering, std::string method, std::string rest) {
  const NamePath path = split(rest);
  if (path.verb == Verb::kUnknown || path.name.find('/') != std::string_view::npos) {
    co_return refused(404, "no such path: /names/{n}, /names/{n}:ask, /names/{n}:obtain");
  }
  if (path.verb == Verb::kNone && method != "GET" && method != "DELETE") {
    co_return only("GET, DELETE");
  }
  if (path.verb != Verb::kNone && method != "POST") co_return only("POST");

  const std::optional<std::string> text = percent_decode(path.name);
  if (!text) co_return refused(400, "the path has a % without two hexadecimal digits behind it");
  const bool orders = path.verb == Verb::kObtain;
  Result<ServerName> name = parse_name(*text, orders ? steering.name_rules() : kLenient);
  if (!name) {
    const std::string which = text->empty() ? "" : shown(*text) + ": ";
    co_return refused(400, which + name.error().message);
  }

  Task<std::string> work;
  if (path.verb == Verb::kAsk) {
    work = steering.ask(*name);
  } else if (path.verb == Verb::kObtain) {
    work = steering.obtain(*name);
  } else if (method == "DELETE") {
    work = steering.forget(*name);
  } else {
    work = steering.explain(*name);
  }
  Result<std::string> outcome = co_await std::move(work).result();
  co_return reply_of(std::move(outcome));
}

// ---- POST /names

// The names of a body in any of its forms; null: none of them.
const JsonValue* list_in(const JsonValue& body) {
  using Kind = JsonValue::Kind;
  const JsonValue* found = &body;
  if (body.is(Kind::kObject)) {
    if (body.members.size() != 1) return nullptr;
    const JsonMember& only_one = body.members.front();
    if (only_one.key != "name" && only_one.key != "names") return nullptr;
    if (only_one.value.is(Kind::kArray) != (only_one.key == "names")) return nullptr;
    found = &only_one.value;
  }
  return found->is(Kind::kArray) || found->is(Kind::kString) ? found : nullptr;
}

struct Sorted {
  const ServerNameRules rules;
  std::vector<ServerName> good{};
  size_t bad = 0;
  std::string first_bad{};  // kShownBad of them: JSON objects

  void take(const JsonValue& item) {
    Result<ServerName> name = item.is(JsonValue::Kind::kString)
                                  ? parse_name(item.text, rules)
                                  : Error{ErrorCode::kInvalid, "expected a string"};
    if (name) {
      good.push_back(*std::move(name));
      return;
    }
    if (++bad > kShownBad) return;
    if (!first_bad.empty()) first_bad += ',';
    const bool text = item.is(JsonValue::Kind::kString);
    first_bad += JsonObject()
                     .text("name", text ? shown(item.text) : json_show(item))
                     .text("error", name.error().message)
                     .str();
  }
};

AdminReply prefetch(Steering& steering, const std::string& body) {
  // Names have no commas. Counted before the parser spends memory on them.
  if (static_cast<size_t>(std::count(body.begin(), body.end(), ',')) >= kMaxNames) {
    return refused(413, "more than " + std::to_string(kMaxNames) + " names: send several lists");
  }
  const Result<JsonValue> json = parse_json(body);
  if (!json) return refused(400, "the body is no JSON: " + json.error().message);
  const JsonValue* const list = list_in(*json);
  if (list == nullptr || (list->is(JsonValue::Kind::kArray) && list->items.empty())) {
    return refused(400,
                   R"(expected {"name": "a.test"}, {"names": ["a.test"]}, a string or a list of )"
                   R"(strings, got )" +
                       json_show(*json));
  }
  Sorted names{steering.name_rules()};
  if (list->is(JsonValue::Kind::kString)) {
    names.take(*list);
  } else {
    names.good.reserve(list->items.size());
    for (const JsonValue& item : list->items) names.take(item);
  }

  Steering::Prefetched result;
  if (!names.good.empty()) result = steering.prefetch(names.good);
  JsonObject out;
  AdminReply reply;
  if (names.good.empty()) {
    reply.status = 400;
    out.text("error", "none of it is a server name");
  } else if (result.taken == 0) {
    reply.status = 503;
    out.text("error", result.complaint.empty() ? "none was taken" : result.complaint);
  }
  const std::string bad = JsonObject()
                              .number("count", static_cast<int64_t>(names.bad))
                              .raw("first", "[" + names.first_bad + "]")
                              .str();
  reply.json = out.number("taken", static_cast<int64_t>(result.taken))
                   .text("complaint", result.complaint)
                   .raw("bad", bad)
                   .str();
  return reply;
}

}  // namespace

Task<AdminReply> answer_admin(Steering& steering, AdminRequest request) {
  const std::string& method = request.method;
  const std::string& path = request.path;
  if (path == "/status") co_return method == "GET" ? ok(steering.status()) : only("GET");
  if (path == "/budget") co_return method == "GET" ? ok(steering.budget()) : only("GET");
  if (path == "/names") {
    co_return method == "POST" ? prefetch(steering, request.body) : only("POST");
  }
  if (path == "/config:reload") {
    if (method != "POST") co_return only("POST");
    Result<std::string> outcome = co_await steering.reload().result();
    co_return reply_of(std::move(outcome));
  }
  if (path.starts_with(kNames)) {
    std::string rest = path.substr(kNames.size());
    AdminReply reply = co_await answer_name(steering, method, std::move(rest));
    co_return reply;
  }
  co_return refused(404, "no such path; /status, /budget, /names and /config:reload are there");
}

}  // namespace latchkey::edge
