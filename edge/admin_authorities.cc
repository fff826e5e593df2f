#include "edge/admin_authorities.h"

#include <utility>

#include "base/json.h"
#include "edge/admin_query.h"
#include "edge/admin_reply.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxIssuer = 256;  // bytes

struct Rotation {
  std::string issuer{};  // "": the only one
  bool root = false;
};

// {"issuer": "local", "root": true}; either may be left out, and all of it.
Result<Rotation> rotation_in(const std::string& body) {
  Rotation out;
  if (body.empty()) return out;
  const Result<JsonValue> json = parse_json(body);
  if (!json) return Error{ErrorCode::kInvalid, "the body is no JSON: " + json.error().message};
  bool good = json->is(JsonValue::Kind::kObject);
  for (const auto& [key, value] : json->members) {
    if (key == "issuer" && value.is(JsonValue::Kind::kString)) {
      out.issuer = value.text;
    } else if (key == "root" && value.is(JsonValue::Kind::kBool)) {
      out.root = value.boolean;
    } else {
      good = false;
    }
  }
  if (good) return out;
  return Error{
      ErrorCode::kInvalid,
      R"(expected {"issuer": "local", "root": true} or parts of it, got )" + json_show(*json)};
}

Task<AdminReply> reply_to(Task<std::string> work) {
  Result<std::string> outcome = co_await std::move(work).result();
  co_return reply_of(std::move(outcome));
}

Task<AdminReply> said(AdminReply reply) {
  co_return reply;
}

}  // namespace

// Not a coroutine: the work is one.
Task<AdminReply> answer_authorities(Steering& steering, AdminRequest request) {
  if (request.path == "/authorities") {
    return request.method == "GET" ? reply_to(steering.authorities()) : said(only("GET"));
  }
  if (request.path == "/authorities:root") {
    if (request.method != "GET") return said(only("GET"));
    AdminQuery query(request.query);
    std::string issuer;
    query.text("issuer", kMaxIssuer, issuer);
    if (std::string wrong = query.complaint(); !wrong.empty()) return said(refused(400, wrong));
    return reply_to(steering.authority_roots(std::move(issuer)));
  }
  if (request.path == "/authorities:rotate") {
    if (request.method != "POST") return said(only("POST"));
    Result<Rotation> rotation = rotation_in(request.body);
    if (!rotation) return said(refused(400, rotation.error().message));
    return reply_to(steering.rotate_authority(std::move(rotation->issuer), rotation->root));
  }
  return said(refused(404, "no such path: /authorities, /authorities:root, /authorities:rotate"));
}

}  // namespace latchkey::edge
