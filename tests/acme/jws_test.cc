#include "acme/jws.h"

#include <gtest/gtest.h>

#include "acme/base64url.h"
#include "tests/acme/verify_jws.h"

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
