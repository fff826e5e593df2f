#include "edge/admin_reply.h"

#include <utility>

#include "base/json.h"

namespace latchkey::edge {
namespace {

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

}  // namespace

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

}  // namespace latchkey::edge
