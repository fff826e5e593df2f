#include "acme/problem.h"

#include <algorithm>

#include "base/json.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr std::string_view kUrn = "urn:ietf:params:acme:error:";
constexpr size_t kMaxText = 2048;
constexpr size_t kMaxSubproblems = 16;
constexpr size_t kLongestDetail = 800;  // shown: a link to unpause a name has about 500

std::string bounded(std::string_view text) {
  return std::string(text.substr(0, kMaxText));
}

int whole_number(const JsonValue* value) {
  if (value == nullptr || !value->is(JsonValue::Kind::kNumber)) return 0;
  return value->number >= 0 && value->number <= 999 ? static_cast<int>(value->number) : 0;
}

Problem parse_flat(const JsonValue& value) {
  Problem problem;
  std::string_view type = value.text_of("type");
  if (type.substr(0, kUrn.size()) == kUrn) type.remove_prefix(kUrn.size());
  problem.type = bounded(type);
  problem.detail = bounded(value.text_of("detail"));
  if (problem.detail.empty()) problem.detail = bounded(value.text_of("title"));
  problem.instance = bounded(value.text_of("instance"));
  problem.status = whole_number(value.find("status"));
  if (const JsonValue* identifier = value.find("identifier")) {
    problem.identifier = bounded(identifier->text_of("value"));
  }
  return problem;
}

}  // namespace

std::string printable(std::string_view text, size_t max) {
  std::string out;
  for (const char c : text) {
    if (out.size() >= max) return out + "…";
    if (c >= ' ' && c <= '~') {
      out += c;
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out += ' ';
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += std::string("\\x") + kHexDigits[byte >> 4] + kHexDigits[byte & 15];
    }
  }
  return out;
}

Problem parse_problem(const JsonValue& value) {
  Problem problem = parse_flat(value);
  if (const JsonValue* subproblems = value.find("subproblems")) {
    for (const JsonValue& sub : subproblems->items) {
      if (problem.subproblems.size() == kMaxSubproblems) break;
      problem.subproblems.push_back(parse_flat(sub));
    }
  }
  return problem;
}

Problem parse_problem(int status, std::string_view body) {
  const Result<JsonValue> value = parse_json(body);
  Problem problem;
  if (value && value->is(JsonValue::Kind::kObject)) problem = parse_problem(*value);
  if (problem.type.empty() && problem.detail.empty()) {
    problem.detail = body.empty() ? "no problem document, empty body"
                                  : "no problem document, but \"" + printable(body, 120) + "\"";
  }
  problem.status = status;  // the protocol's word, whatever the document says
  return problem;
}

FailureClass Problem::failure_class() const {
  const FailureClass own = class_of_type();
  if (own != FailureClass::kOther && own != FailureClass::kUnauthorized) return own;
  for (const Problem& sub : subproblems) {
    const FailureClass closer = sub.class_of_type();
    if (closer != FailureClass::kOther) return closer;
  }
  return own;
}

FailureClass Problem::class_of_type() const {
  using namespace problem_type;
  if (is(kDns)) return FailureClass::kDns;
  if (is(kConnection)) return FailureClass::kConnection;
  if (is(kTls)) return FailureClass::kTls;
  if (is(kUnauthorized) || is(kIncorrectResponse)) return FailureClass::kUnauthorized;
  if (is(kCaa)) return FailureClass::kCaa;
  if (is(kRateLimited) || status == 429) return FailureClass::kRateLimited;
  if (is(kRejectedIdentifier) || is(kUnsupportedIdentifier)) {
    return FailureClass::kRejectedIdentifier;
  }
  if (is(kUserActionRequired)) return FailureClass::kUserActionRequired;
  if (is(kAccountDoesNotExist) || is(kExternalAccountRequired)) return FailureClass::kAccount;
  if (is(kServerInternal) || is(kBadNonce) || status >= 500) return FailureClass::kServerInternal;
  return FailureClass::kOther;
}

std::string Problem::what_to_do() const {
  std::string todo;
  if (!instance.empty()) todo = "visit " + printable(instance);
  if (!terms_of_service.empty()) {
    if (!todo.empty()) todo += ", and ";
    todo += "read the new terms of service " + printable(terms_of_service) +
            " and accept them as the CA asks";
  }
  if (todo.empty()) todo = "the CA gives no link; look at your account there";
  return todo + ". Orders are made again as soon as it takes them";
}

std::string Problem::describe() const {
  std::string text = type.empty() ? "an error" : printable(type, 80);
  if (status != 0) text += " (HTTP " + std::to_string(status) + ")";
  if (!detail.empty()) text += ": " + printable(detail, kLongestDetail);
  for (const Problem& sub : subproblems) {
    if (text.size() > 1500) {
      text += "; …";
      break;
    }
    text += "; ";
    if (!sub.identifier.empty()) text += printable(sub.identifier, 253) + ": ";
    text += sub.describe();
  }
  if (retry_after) {
    text += "; retry after " + std::to_string((retry_after->count() + 999) / 1000) + " s";
  }
  if (is(problem_type::kUserActionRequired)) {
    text += "; a person must act: " + what_to_do();
  } else if (!instance.empty()) {
    text += "; see " + printable(instance);
  }
  return text;
}

Error Problem::error(std::string_view doing) const {
  ErrorCode code = ErrorCode::kProtocol;
  switch (failure_class()) {
    case FailureClass::kRateLimited:
      code = ErrorCode::kThrottled;
      break;
    case FailureClass::kServerInternal:
      code = retry_after ? ErrorCode::kThrottled : ErrorCode::kIo;
      break;
    case FailureClass::kRejectedIdentifier:
      code = ErrorCode::kInvalid;
      break;
    default:
      break;
  }
  return Error{code, std::string(doing) + ": " + describe(), retry_after.value_or(Millis(0))};
}

}  // namespace latchkey::acme
