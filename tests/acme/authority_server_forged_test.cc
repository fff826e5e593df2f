// Requests that nobody should have sent, and the problem that each is answered with: what is wrong
// with the JWS.

#include <functional>

#include "tests/acme/authority_server_fixture.h"
#include "tests/acme/forged_jws.h"

namespace latchkey::acme {
namespace {

class AcmeServerForgedTest : public AcmeServerFixture {
 protected:
  struct Row {
    const char* what;
    int status;
    const char* type;
    std::function<HttpReply()> send;
  };

  void check(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      SCOPED_TRACE(row.what);
      const HttpReply reply = row.send();
      EXPECT_EQ(row.status, reply.status) << reply.body;
      EXPECT_EQ(row.type, problem(reply)) << reply.body;
      EXPECT_FALSE(reply.header("replay-nonce").empty());
      EXPECT_EQ("<" + url("/directory") + ">;rel=\"index\"", reply.header("link"));
      EXPECT_EQ(std::to_string(row.status), test::at(json(reply), "status").text);
    }
  }

  // A newOrder of `user` with that header.
  HttpReply headed(const std::string& header, const std::string& payload = order_for({"a.test"})) {
    return send(jose(at, forged_jws(user.key, header, payload)));
  }
  // The header as it should be, without the members in `without`, with `more` behind.
  std::string header(const std::string& without = "", const std::string& more = "",
                     const std::string& alg = "ES256") {
    JsonObject made;
    if (without.find("alg") == std::string::npos) made.text("alg", alg);
    if (without.find("nonce") == std::string::npos) made.text("nonce", nonce());
    if (without.find("url") == std::string::npos) made.text("url", at);
    if (without.find("kid") == std::string::npos) made.text("kid", user.kid);
    std::string text = made.str();
    if (!more.empty()) text.insert(text.size() - 1, "," + more);
    return text;
  }
  std::string good() { return forged_jws(user.key, header(), order_for({"a.test"})); }
  // The same with one member replaced (JSON), or (nullptr) left out.
  HttpReply with(const std::string& member, const char* value) {
    const JsonValue parsed = *parse_json(good());
    JsonObject made;
    for (const JsonMember& one : parsed.members) {
      if (one.key != member) made.text(one.key, one.value.text);
    }
    if (value != nullptr) made.raw(member, value);
    return send(jose(at, made.str()));
  }
  // A newAccount with that JWK, signed by `user.key`.
  HttpReply with_jwk(const std::string& jwk, const std::string& alg = "ES256") {
    const std::string to = url("/new-account");
    const std::string made =
        JsonObject().text("alg", alg).text("nonce", nonce()).text("url", to).raw("jwk", jwk).str();
    return send(jose(to, forged_jws(user.key, made, "{}")));
  }

  const std::string at = url("/new-order");
  User user = sign_up();
};

TEST_F(AcmeServerForgedTest, WhatShouldBeSentIsTaken) {
  EXPECT_EQ(201, send(jose(at, good())).status);
}

TEST_F(AcmeServerForgedTest, HttpAroundTheJws) {
  check({
      {"no content type", 415, "malformed",
       [this] {
         HttpRequest request = jose(at, good());
         request.headers.clear();
         return send(std::move(request));
       }},
      {"another content type", 415, "malformed",
       [this] {
         HttpRequest request = jose(at, good());
         request.headers[0].second = "application/json";
         return send(std::move(request));
       }},
      {"a body that is too long", 413, "malformed",
       [this] { return send(jose(at, std::string(AcmeServer::kMaxBody + 1, ' '))); }},
      {"nothing there", 404, "malformed", [this] { return post(user, url("/nowhere"), ""); }},
      {"nothing under a kind", 404, "malformed", [this] { return post(user, url("/order/"), ""); }},
      {"an index with a zero in front", 404, "malformed",
       [this] { return post(user, url("/authorization/x/00"), ""); }},
      {"a POST to renewalInfo", 405, "malformed",
       [this] { return post(user, url("/renewal-info/a.b"), ""); }},
  });
}

TEST_F(AcmeServerForgedTest, ReadingWithoutASignature) {
  for (const char* const path : {"/new-order", "/order/x", "/account/x", "/certificate/00"}) {
    const HttpReply reply = get(url(path));
    EXPECT_EQ(405, reply.status) << path;
    EXPECT_EQ("malformed", problem(reply)) << path;
    EXPECT_EQ("POST", reply.header("allow"));
  }
  EXPECT_EQ(405, get(url("/directory"), "PUT").status);
  EXPECT_EQ(404, get("https://ca.test/acme/other/directory").status);
  EXPECT_EQ(404, get("https://ca.test/acme/localx").status);
}

TEST_F(AcmeServerForgedTest, TheShapeOfTheJws) {
  check({
      {"an empty body", 400, "malformed", [this] { return send(jose(at, "")); }},
      {"no JSON", 400, "malformed", [this] { return send(jose(at, "{")); }},
      {"a list", 400, "malformed", [this] { return send(jose(at, "[]")); }},
      {"compact serialization", 400, "malformed", [this] { return send(jose(at, "\"a.b.c\"")); }},
      {"no protected header", 400, "malformed", [this] { return with("protected", nullptr); }},
      {"no payload", 400, "malformed", [this] { return with("payload", nullptr); }},
      {"no signature", 400, "malformed", [this] { return with("signature", nullptr); }},
      {"an unprotected header", 400, "malformed", [this] { return with("header", "{}"); }},
      {"several signatures", 400, "malformed", [this] { return with("signatures", "[]"); }},
      {"a payload that is no string", 400, "malformed", [this] { return with("payload", "1"); }},
      {"base64 instead of base64url", 400, "malformed",
       [this] { return with("payload", R"("+/+/")"); }},
      {"padding", 400, "malformed", [this] { return with("signature", R"("AA==")"); }},
      {"truncated base64url", 400, "malformed", [this] { return with("payload", R"("A")"); }},
      {"bits left over", 400, "malformed", [this] { return with("payload", R"("AB")"); }},
      {"a header that is no JSON", 400, "malformed", [this] { return headed("nothing"); }},
      {"a header that is a list", 400, "malformed", [this] { return headed("[]"); }},
      {"a member named twice", 400, "malformed",
       [this] { return headed(header("", R"("alg":"ES256")")); }},
  });
}

TEST_F(AcmeServerForgedTest, TheHeader) {
  const std::string jwk = R"("jwk":)" + user.key.jwk();
  check({
      {"no algorithm", 400, "malformed", [this] { return headed(header("alg")); }},
      {"none", 400, "badSignatureAlgorithm", [this] { return headed(header("", "", "none")); }},
      {"HS256", 400, "badSignatureAlgorithm", [this] { return headed(header("", "", "HS256")); }},
      {"ES512", 400, "badSignatureAlgorithm", [this] { return headed(header("", "", "ES512")); }},
      {"PS256", 400, "badSignatureAlgorithm", [this] { return headed(header("", "", "PS256")); }},
      {"another key's algorithm", 400, "malformed",
       [this] { return headed(header("", "", "RS256")); }},
      {"an algorithm that is a number", 400, "malformed",
       [this] { return headed(header("alg", R"("alg":1)")); }},
      {"a key that will not do", 400, "badPublicKey",
       [this] { return headed(header("kid", R"("jwk":{"kty":"oct","k":"AA"})")); }},
      {"such a key, with a nonce that is not ours", 400, "badNonce",
       [this] {
         return headed(header("nonce", R"("jwk":{"kty":"oct","k":"AA"},"nonce":"AAAA")"));
       }},
      {"both jwk and kid", 400, "malformed", [&] { return headed(header("", jwk)); }},
      {"neither jwk nor kid", 400, "malformed", [this] { return headed(header("kid")); }},
      {"a jwk where an account is wanted", 400, "malformed",
       [&] { return headed(header("kid", jwk)); }},
      {"a kid where a key is wanted", 400, "malformed",
       [this] { return post(user, url("/new-account"), "{}"); }},
      {"an empty kid", 400, "malformed", [this] { return headed(header("kid", R"("kid":"")")); }},
      {"a kid that is nobody's", 400, "accountDoesNotExist",
       [this] { return post(user.key, url("/account/00"), at, "{}"); }},
      {"a kid that is no account", 400, "accountDoesNotExist",
       [this] { return post(user.key, url("/order/00"), at, "{}"); }},
      {"a kid at another host", 400, "accountDoesNotExist",
       [this] {
         const std::string id = user.kid.substr(user.kid.rfind('/'));
         return post(user.key, "https://other.test/acme/local/account" + id, at, "{}");
       }},
      {"crit", 400, "malformed",
       [this] { return headed(header("", R"("crit":["exp"],"exp":1)")); }},
      {"b64", 400, "malformed", [this] { return headed(header("", R"("b64":false)")); }},
      {"no URL", 401, "unauthorized", [this] { return headed(header("url")); }},
      {"another URL", 401, "unauthorized",
       [this] {
         const std::string body =
             user.key.sign(url("/new-account"), nonce(), user.kid, order_for({"a.test"}));
         return send(jose(at, body));
       }},
      {"the URL at another host", 401, "unauthorized",
       [this] {
         const std::string body =
             user.key.sign("https://other.test/acme/local/new-order", nonce(), user.kid, "{}");
         return send(jose(at, body));
       }},
      {"no nonce", 400, "badNonce", [this] { return headed(header("nonce")); }},
      {"a nonce that is not ours", 400, "badNonce",
       [this] { return headed(header("nonce", R"("nonce":"AAAA")")); }},
      {"a nonce that is no base64url", 400, "malformed",
       [this] { return headed(header("nonce", R"("nonce":"a+b")")); }},
      {"a nonce that is a number", 400, "malformed",
       [this] { return headed(header("nonce", R"("nonce":7)")); }},
      {"a nonce used before", 400, "badNonce",
       [this] {
         const std::string body = good();
         EXPECT_EQ(201, send(jose(at, body)).status);
         return send(jose(at, body));
       }},
      {"a nonce of an hour ago", 400, "badNonce",
       [this] {
         const std::string body = good();
         clock.advance(std::chrono::hours(1) + std::chrono::seconds(1));
         return send(jose(at, body));
       }},
  });
}

TEST_F(AcmeServerForgedTest, TheSignature) {
  const User other = sign_up();
  check({
      {"of another key", 401, "unauthorized",
       [&] { return post(other.key, user.kid, at, order_for({"a.test"})); }},
      {"of nobody", 401, "unauthorized", [this] { return with("signature", R"("")"); }},
      {"cut off", 401, "unauthorized", [this] { return with("signature", R"("AAAA")"); }},
      {"of zeros", 401, "unauthorized",
       [this] { return with("signature", json_quote(base64url(std::string(64, '\0'))).c_str()); }},
      {"of another payload", 401, "unauthorized", [this] { return with("payload", R"("e30")"); }},
      {"in DER", 401, "unauthorized",
       [this] { return with("signature", json_quote(base64url(std::string(71, 'a'))).c_str()); }},
  });
}

TEST_F(AcmeServerForgedTest, KeysThatAreNone) {
  const std::string x(43, 'A');
  const std::string good_jwk = user.key.jwk();
  check({
      {"no object", 400, "badPublicKey", [this] { return with_jwk("1"); }},
      {"an empty one", 400, "badPublicKey", [this] { return with_jwk("{}"); }},
      {"a symmetric one", 400, "badPublicKey",
       [this] { return with_jwk(R"({"kty":"oct","k":"AAAA"})"); }},
      {"an Ed25519 one", 400, "badPublicKey",
       [&] { return with_jwk(R"({"kty":"OKP","crv":"Ed25519","x":")" + x + "\"}"); }},
      {"another curve", 400, "badPublicKey",
       [&] {
         return with_jwk(R"({"kty":"EC","crv":"P-521","x":")" + x + R"(","y":")" + x + "\"}");
       }},
      {"no point of the curve", 400, "badPublicKey",
       [&] {
         return with_jwk(R"({"kty":"EC","crv":"P-256","x":")" + x + R"(","y":")" + x + "\"}");
       }},
      {"a short coordinate", 400, "badPublicKey",
       [this] { return with_jwk(R"({"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"})"); }},
      {"a private one", 400, "badPublicKey",
       [&] { return with_jwk(good_jwk.substr(0, good_jwk.size() - 1) + R"(,"d":"AAAA"})"); }},
      {"a short RSA one", 400, "badPublicKey",
       [this] {
         const std::string n = base64url(std::string(128, '\xff'));
         return with_jwk(R"({"kty":"RSA","e":"AQAB","n":")" + n + "\"}", "RS256");
       }},
      {"a long RSA one", 400, "badPublicKey",
       [this] {
         const std::string n = base64url(std::string(1024, '\xff'));
         return with_jwk(R"({"kty":"RSA","e":"AQAB","n":")" + n + "\"}", "RS256");
       }},
      {"an RSA one with the exponent 1", 400, "badPublicKey",
       [this] {
         const std::string n = base64url(std::string(256, '\xff'));
         return with_jwk(R"({"kty":"RSA","e":"AQ","n":")" + n + "\"}", "RS256");
       }},
      {"an RSA one with a zero in front", 400, "badPublicKey",
       [this] {
         const std::string n = base64url('\0' + std::string(256, '\xff'));
         return with_jwk(R"({"kty":"RSA","e":"AQAB","n":")" + n + "\"}", "RS256");
       }},
      {"another's", 401, "unauthorized", [this] { return with_jwk(AccountKey::generate().jwk()); }},
      {"one that signs otherwise", 400, "malformed", [&] { return with_jwk(good_jwk, "ES384"); }},
  });
}

}  // namespace
}  // namespace latchkey::acme
