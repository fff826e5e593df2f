#pragma once
#include <chrono>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "acme/problem.h"
#include "base/result.h"
#include "base/server_name.h"

namespace latchkey::acme {

// One identifier of a request that is refused, with its own reason (RFC 8555, 6.7.1).
struct ServerSubproblem {
  std::string type;
  std::string detail;
  std::string identifier;  // JSON: {"type":"dns","value":"a.test"}
};

// Why the server refuses a request, or why a challenge failed: a problem document (RFC 7807) of
// RFC 8555, 6.7.
struct ServerProblem {
  int status = 400;
  std::string type;    // without "urn:ietf:params:acme:error:"
  std::string detail;  // one line for people; what the client sent is shown by printable()
  std::chrono::seconds retry_after{0};          // 0: the answer has no Retry-After
  std::string location{};                       // of the answer; "": none
  std::vector<ServerSubproblem> subproblems{};  // <= 100
  std::pair<std::string, std::string> extra{};  // one more member and its JSON; "": none

  std::string document() const;  // JSON
};

ServerProblem malformed(std::string detail);
// Who it is, is not clear: 401. Who it is, is clear, but he may not: 403.
ServerProblem unauthenticated(std::string detail);
ServerProblem unauthorized(std::string detail);
ServerProblem rate_limited(std::string detail, std::chrono::seconds retry_after);
ServerProblem server_internal(std::string detail);
// No such object at that URL: 404.
ServerProblem unknown(std::string detail);

// A value, or the client's mistake. (A Result's Error is ours.)
template <typename T = Unit>
class [[nodiscard]] Judged {
 public:
  Judged(T value) : state_(std::move(value)) {}
  Judged(ServerProblem problem) : state_(std::move(problem)) {}

  bool has_value() const { return state_.index() == 0; }
  explicit operator bool() const { return has_value(); }
  T& operator*() & { return std::get<0>(state_); }
  const T& operator*() const& { return std::get<0>(state_); }
  T operator*() && { return std::get<0>(std::move(state_)); }
  T* operator->() { return &std::get<0>(state_); }
  const T* operator->() const { return &std::get<0>(state_); }
  const ServerProblem& problem() const& { return std::get<1>(state_); }
  ServerProblem problem() && { return std::get<1>(std::move(state_)); }

 private:
  std::variant<T, ServerProblem> state_;
};

}  // namespace latchkey::acme
