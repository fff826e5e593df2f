#include "acme/jws.h"

#include <gtest/gtest.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/mem.h>

#include "acme/base64url.h"
#include "acme/external_account.h"
#include "tests/acme/verify_jws.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

TEST(Base64Url, EncodesAsRfc4648SaysWithoutPadding) {
  EXPECT_EQ(base64url(""), "");
  EXPECT_EQ(base64url("f"), "Zg");
  EXPECT_EQ(base64url("fo"), "Zm8");
  EXPECT_EQ(base64url("foo"), "Zm9v");
  EXPECT_EQ(base64url("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64url("\xff\xfe\xfd"), "__79");
  EXPECT_EQ(base64url(std::string("\x03\xec\xff\xe0\xc1", 5)), "A-z_4ME");  // RFC 7515, C
}

TEST(Base64Url, DecodesWhatItEncodesAndNothingElse) {
  std::string bytes;
  for (int i = 0; i < 256; ++i) {
    EXPECT_EQ(base64url_decode(base64url(bytes)), bytes);
    bytes += static_cast<char>(i * 7);
  }
  for (const char* bad : {"Z", "Zg=", "Zg==", "Zh", "Zm9", "Z g", "Zm+v", "Zm/v", "Zm9vY", "ä"}) {
    EXPECT_EQ(base64url_decode(bad), std::nullopt) << bad;
  }
}

TEST(Jws, TheExampleOfRfc7515VerifiesSoOurVerifierIsRight) {  // A.3
  const auto x = base64url_decode("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU");
  const auto y = base64url_decode("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0");
  const std::string message =
      "eyJhbGciOiJFUzI1NiJ9."
      "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVl"
      "fQ";
  const auto signature = base64url_decode(
      "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
  ASSERT_TRUE(x && y && signature);
  EXPECT_TRUE(verify_es256(*x, *y, message, *signature));
  EXPECT_FALSE(verify_es256(*x, *y, message + "A", *signature));
}

TEST(Jws, TheThumbprintOfRfc7638ComesOut) {  // 3.1
  EXPECT_EQ(
      jwk_thumbprint(
          R"({"e":"AQAB","kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx)"
          R"(4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc)"
          R"(5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgd)"
          R"(AZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ)"
          R"(-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"})"),
      "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}

TEST(Jws, AKeyIntroducesItselfOrNamesItsAccount) {
  const AccountKey key = AccountKey::generate();
  const OpenedJws first = open_jws(key.sign("https://ca.test/acct", "n0nce", "", "{}"), "");
  EXPECT_TRUE(first.valid);
  EXPECT_EQ(first.header.text_of("url"), "https://ca.test/acct");
  EXPECT_EQ(first.header.text_of("nonce"), "n0nce");
  EXPECT_EQ(first.header.find("kid"), nullptr);
  EXPECT_EQ(first.payload, "{}");

  const OpenedJws later = open_jws(key.sign("u", "n", "https://ca.test/acct/1", ""), key.jwk());
  EXPECT_TRUE(later.valid);
  EXPECT_EQ(later.header.text_of("kid"), "https://ca.test/acct/1");
  EXPECT_EQ(later.header.find("jwk"), nullptr);
  EXPECT_EQ(later.payload, "");
}

TEST(Jws, EverySignatureIs64BytesAlsoWhenANumberBeginsWithZeroes) {
  const AccountKey key = AccountKey::generate();
  for (int i = 0; i < 600; ++i) {
    ASSERT_TRUE(open_jws(key.sign("u", std::to_string(i), "", "x"), "").valid);
  }
}

// Does the public key of `key` verify `signature` (of RSA: PKCS#1) over `message`?
bool verifies(const PrivateKey& key, const EVP_MD* hash, std::string_view message,
              std::string_view signature) {
  bssl::ScopedEVP_MD_CTX context;
  const auto bytes = [](std::string_view t) { return reinterpret_cast<const uint8_t*>(t.data()); };
  return EVP_DigestVerifyInit(context.get(), nullptr, hash, nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), bytes(signature), signature.size(), bytes(message),
                          message.size()) == 1;
}

TEST(Jws, KeysThatWereBroughtAlongSignToo) {  // RFC 7518, 3.3 and 3.4
  for (const bool rsa : {true, false}) {
    const PrivateKey key = rsa ? generate_rsa2048_key() : generate_p384_key();
    const AccountKey account = *AccountKey::from_der(AccountKey::from_key(key)->to_der());
    const JsonValue jws = *parse_json(account.sign("u", "n", "", "payload"));
    const std::string head(jws.text_of("protected"));
    const JsonValue header = *parse_json(*base64url_decode(head));
    EXPECT_EQ(header.text_of("alg"), rsa ? "RS256" : "ES384");
    const JsonValue* jwk = header.find("jwk");
    ASSERT_NE(jwk, nullptr);
    EXPECT_EQ(jwk->text_of("kty"), rsa ? "RSA" : "EC");
    std::string signature = *base64url_decode(jws.text_of("signature"));
    if (rsa) {
      EXPECT_EQ(jwk->text_of("e"), "AQAB");
      EXPECT_EQ(base64url_decode(jwk->text_of("n"))->size(), 256u);
    } else {
      EXPECT_EQ(jwk->text_of("crv"), "P-384");
      EXPECT_EQ(base64url_decode(jwk->text_of("x"))->size(), 48u);
      ASSERT_EQ(signature.size(), 96u);
      const bssl::UniquePtr<ECDSA_SIG> pair(ECDSA_SIG_new());
      const auto number = [&](size_t from) {
        return BN_bin2bn(reinterpret_cast<const uint8_t*>(signature.data()) + from, 48, nullptr);
      };
      ASSERT_TRUE(ECDSA_SIG_set0(pair.get(), number(0), number(48)));
      uint8_t* der = nullptr;
      size_t size = 0;
      ASSERT_TRUE(ECDSA_SIG_to_bytes(&der, &size, pair.get()));
      const bssl::UniquePtr<uint8_t> owner(der);
      signature.assign(reinterpret_cast<const char*>(der), size);
    }
    const std::string message = head + "." + std::string(jws.text_of("payload"));
    EXPECT_TRUE(verifies(key, rsa ? EVP_sha256() : EVP_sha384(), message, signature));
  }
}

TEST(Jws, WhatAcmeHasNoNameForIsNoAccountKey) {
  EXPECT_FALSE(AccountKey::from_key(nullptr));
  EXPECT_FALSE(AccountKey::from_key(generate_rsa_key(1024)));
}

TEST(Jws, TheInnerOneOfAKeyChangeHasNoNonce) {  // RFC 8555, 7.3.5
  const AccountKey key = AccountKey::generate();
  const OpenedJws inner = open_jws(key.sign_inner("https://ca.test/key-change", "{}"), "");
  EXPECT_TRUE(inner.valid);
  EXPECT_EQ(inner.header.text_of("url"), "https://ca.test/key-change");
  EXPECT_EQ(inner.header.find("nonce"), nullptr);
  EXPECT_EQ(inner.header.find("kid"), nullptr);
}

TEST(Jws, TheHmacIsThatOfRfc4231) {  // test case 2
  EXPECT_EQ(base64url(hmac_sha256("Jefe", "what do ya want for nothing?")),
            "W9zBRr9gdU5qBCQmCJV1x1oAPwidJzmDnexYuWTsOEM");
}

TEST(Jws, ABindingIsAnHmacOverThePublicKey) {  // RFC 8555, 7.3.4
  const AccountKey key = AccountKey::generate();
  const ExternalAccount external{"kid-1", "secret"};
  const JsonValue jws =
      *parse_json(external_account_binding(external, key, "https://ca.test/account"));
  EXPECT_EQ(base64url_decode(jws.text_of("protected")),
            R"({"alg":"HS256","kid":"kid-1","url":"https://ca.test/account"})");
  EXPECT_EQ(base64url_decode(jws.text_of("payload")), key.jwk());
  const std::string message =
      std::string(jws.text_of("protected")) + "." + std::string(jws.text_of("payload"));
  EXPECT_EQ(jws.text_of("signature"), base64url(hmac_sha256("secret", message)));
}

TEST(Jws, AKeySurvivesItsStorage) {
  const AccountKey key = AccountKey::generate();
  const Result<AccountKey> again = AccountKey::from_der(key.to_der());
  ASSERT_TRUE(again);
  EXPECT_EQ(again->jwk(), key.jwk());
  EXPECT_EQ(again->thumbprint(), key.thumbprint());
  EXPECT_EQ(base64url_decode(key.thumbprint())->size(), 32u);
  EXPECT_FALSE(AccountKey::from_der("garbage"));
  EXPECT_FALSE(AccountKey::from_der(""));
}

}  // namespace
}  // namespace latchkey::acme
