#include "acme/authority/server_problem.h"

#include "base/json.h"

namespace latchkey::acme {
namespace {

std::string urn(const std::string& type) {
  return "urn:ietf:params:acme:error:" + type;
}

}  // namespace

std::string ServerProblem::document() const {
  JsonObject object;
  object.text("type", urn(type)).text("detail", detail).number("status", status);
  if (!extra.first.empty()) object.raw(extra.first, extra.second);
  if (!subproblems.empty()) {
    std::string list;
    for (const ServerSubproblem& one : subproblems) {
      if (!list.empty()) list += ',';
      list += JsonObject()
                  .text("type", urn(one.type))
                  .text("detail", one.detail)
                  .raw("identifier", one.identifier)
                  .str();
    }
    object.raw("subproblems", "[" + list + "]");
  }
  return object.str();
}

ServerProblem malformed(std::string detail) {
  return {400, std::string(problem_type::kMalformed), std::move(detail)};
}
ServerProblem unauthenticated(std::string detail) {
  return {401, std::string(problem_type::kUnauthorized), std::move(detail)};
}
ServerProblem unauthorized(std::string detail) {
  return {403, std::string(problem_type::kUnauthorized), std::move(detail)};
}
ServerProblem rate_limited(std::string detail, std::chrono::seconds retry_after) {
  return {429, std::string(problem_type::kRateLimited), std::move(detail), retry_after};
}
ServerProblem server_internal(std::string detail) {
  return {500, std::string(problem_type::kServerInternal), std::move(detail)};
}
ServerProblem unknown(std::string detail) {
  return {404, std::string(problem_type::kMalformed), std::move(detail)};
}

}  // namespace latchkey::acme
