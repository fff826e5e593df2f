#include "acme/authority/jws_verify.h"

#include <algorithm>
#include <iterator>

#include "acme/base64url.h"

namespace latchkey::acme {
namespace {

constexpr std::string_view kAlgorithms[] = {"ES256", "ES384", "RS256"};
constexpr size_t kMaxText = 2048;  // of a URL, a kid, a nonce

ServerProblem bad_algorithm(std::string_view algorithm) {
  ServerProblem problem{
      400, std::string(problem_type::kBadSignatureAlgorithm),
      "the JWS is signed by " + printable(algorithm, 40) + "; ES256, ES384 and RS256 are accepted"};
  problem.extra = {"algorithms", R"(["ES256","ES384","RS256"])"};
  return problem;
}

bool is_text(const JsonValue* value) {
  return value != nullptr && value->is(JsonValue::Kind::kString) && value->text.size() <= kMaxText;
}

// `member` of the JWS, decoded.
Judged<std::string> decoded(const JsonValue& object, const char* member) {
  const JsonValue* const value = object.find(member);
  if (value == nullptr || !value->is(JsonValue::Kind::kString)) {
    return malformed("the JWS has no \"" + std::string(member) + "\", which is a string");
  }
  std::optional<std::string> bytes = base64url_decode(value->text);
  if (!bytes) {
    return malformed("the JWS's \"" + std::string(member) +
                     "\" is not base64url without padding (RFC 8555, 6.1)");
  }
  return *std::move(bytes);
}

// The members that RFC 8555, 6.2 and RFC 7515, 4.1.11 rule out.
Judged<> check_members(const JsonValue& header) {
  for (const JsonMember& one : header.members) {
    if (one.key == "crit" || one.key == "b64") {
      return malformed("the JWS's header has \"" + one.key + "\", of which we know no extension");
    }
    const bool text =
        one.key == "alg" || one.key == "nonce" || one.key == "url" || one.key == "kid";
    if (text && !is_text(&one.value)) {
      return malformed("\"" + one.key + "\" in the JWS's header is no string, or a long one");
    }
  }
  return Unit{};
}

Judged<> read_algorithm(const JsonValue& header, JwsUse use, Jws& jws) {
  if (header.find("alg") == nullptr) return malformed("the JWS's header has no \"alg\"");
  jws.algorithm = header.text_of("alg");
  if (use == JwsUse::kBinding) {
    if (jws.algorithm == "HS256") return Unit{};
    ServerProblem problem{400, std::string(problem_type::kBadSignatureAlgorithm),
                          "an external account binding is signed by HS256, this one by " +
                              printable(jws.algorithm, 40)};
    problem.extra = {"algorithms", R"(["HS256"])"};
    return problem;
  }
  if (std::find(std::begin(kAlgorithms), std::end(kAlgorithms), jws.algorithm) ==
      std::end(kAlgorithms)) {
    return bad_algorithm(jws.algorithm);
  }
  return Unit{};
}

Judged<> read_key(const JsonValue& header, JwsUse use, Jws& jws) {
  const JsonValue* const jwk = header.find("jwk");
  const bool kid = header.find("kid") != nullptr;
  if (jwk != nullptr && kid) {
    return malformed("the JWS's header has both \"jwk\" and \"kid\" (RFC 8555, 6.2)");
  }
  if (jwk == nullptr && (!kid || header.text_of("kid").empty())) {
    return malformed("the JWS's header has neither \"jwk\" nor \"kid\" (RFC 8555, 6.2)");
  }
  if (kid) {
    if (use == JwsUse::kKeyChange) {
      return malformed("the inner JWS of a keyChange has a \"jwk\", the new key's, and no \"kid\"");
    }
    jws.kid = header.text_of("kid");
    return Unit{};
  }
  if (use == JwsUse::kBinding) {
    return malformed("an external account binding has the \"kid\" that its owner was given");
  }
  Result<JwsKey> key = JwsKey::from_jwk(*jwk);
  if (!key) {
    return ServerProblem{400, std::string(problem_type::kBadPublicKey), key.error().message};
  }
  if (key->algorithm() != jws.algorithm) {
    return malformed("the JWS is signed by " + jws.algorithm + ", its key signs by " +
                     std::string(key->algorithm()));
  }
  jws.jwk = *std::move(key);
  return Unit{};
}

Judged<> read_header(std::string_view text, JwsUse use, const JwsCheck& check, Jws& jws) {
  const Result<JsonValue> header = parse_json(text);
  if (!header || !header->is(JsonValue::Kind::kObject)) {
    return malformed("the JWS's protected header is no JSON object");
  }
  if (Judged<> good = check_members(*header); !good) return good;
  if (Judged<> good = read_algorithm(*header, use, jws); !good) return good;
  jws.url = header->text_of("url");
  if (jws.url.empty()) {
    ServerProblem problem = unauthenticated("the JWS's header has no \"url\" (RFC 8555, 6.4)");
    return use == JwsUse::kRequest ? problem : malformed(problem.detail);
  }
  jws.nonce = header->text_of("nonce");
  if (use != JwsUse::kRequest && header->find("nonce") != nullptr) {
    return malformed("an inner JWS has no \"nonce\"");
  }
  if (!is_base64url(jws.nonce)) {
    return malformed("the JWS's \"nonce\" is not base64url (RFC 8555, 6.5.2)");
  }
  if (check) {
    if (Judged<> good = check(jws); !good) return good;
  }
  return read_key(*header, use, jws);
}

}  // namespace

Judged<Jws> parse_jws(std::string_view text, JwsUse use, const JwsCheck& check) {
  const Result<JsonValue> object = parse_json(text);
  if (!object) return malformed("the body is no JSON: " + printable(object.error().message));
  return parse_jws(*object, use, check);
}

Judged<Jws> parse_jws(const JsonValue& object, JwsUse use, const JwsCheck& check) {
  if (!object.is(JsonValue::Kind::kObject)) return malformed("a JWS is a JSON object");
  if (object.find("signatures") != nullptr) {
    return malformed("the JWS is not flattened: it has \"signatures\" (RFC 8555, 6.2)");
  }
  if (object.find("header") != nullptr) {
    return malformed("the JWS has an unprotected \"header\" (RFC 8555, 6.2)");
  }
  Jws jws;
  Judged<std::string> header = decoded(object, "protected");
  if (!header) return std::move(header).problem();
  Judged<std::string> payload = decoded(object, "payload");
  if (!payload) return std::move(payload).problem();
  Judged<std::string> signature = decoded(object, "signature");
  if (!signature) return std::move(signature).problem();
  if (Judged<> good = read_header(*header, use, check, jws); !good)
    return std::move(good).problem();
  jws.payload = *std::move(payload);
  jws.signature = *std::move(signature);
  const std::string_view first = object.text_of("protected");
  const std::string_view second = object.text_of("payload");
  jws.signed_text.reserve(first.size() + 1 + second.size());
  jws.signed_text.append(first).append(1, '.').append(second);
  return jws;
}

Judged<> verify_jws(const Jws& jws, const JwsKey& key) {
  if (jws.algorithm != key.algorithm()) {
    return malformed("the JWS is signed by " + jws.algorithm + ", its key signs by " +
                     std::string(key.algorithm()));
  }
  if (!key.verifies(jws.signed_text, jws.signature)) {
    return unauthenticated("the JWS's signature is not the key's");
  }
  return Unit{};
}

}  // namespace latchkey::acme
