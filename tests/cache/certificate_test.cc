#include "cache/certificate.h"

#include <gmock/gmock.h>
#include <malloc.h>
#include <openssl/err.h>
#include <openssl/pool.h>

#include "tests/support/ocsp_ca.h"
#include "tests/support/test_certificates.h"

namespace latchkey {
namespace {

using std::chrono::hours;
using testing::ElementsAre;
using testing::HasSubstr;

class CertificateTest : public testing::Test {
 protected:
  static ServerName name(std::string_view text) { return *ServerName::parse(text); }
  static const TestCa& ca() {
    static const TestCa one;
    return one;
  }
  static Error failure(std::string_view pem, PrivateKey key) {
    auto made = Certificate::from_pem(pem, std::move(key));
    EXPECT_FALSE(made.has_value());
    EXPECT_EQ(ERR_peek_error(), 0u) << "an error is left for the next SSL call to find";
    return made.has_value() ? Error{ErrorCode::kIo, "it was accepted"} : std::move(made).error();
  }
};

TEST_F(CertificateTest, TellsWhatTheLeafSays) {
  const WallTime from = TestCa::now() - hours(1);
  const WallTime to = TestCa::now() + hours(2);
  const auto made =
      ca().issue({"Shop.Example.COM", "*.example.com", "192.0.2.7", "2001:DB8:0::1"}, from, to);
  EXPECT_THAT(made->names(),
              ElementsAre("shop.example.com", "*.example.com", "192.0.2.7", "2001:db8::1"));
  EXPECT_EQ(made->not_before(), from);
  EXPECT_EQ(made->not_after(), to);
  EXPECT_EQ(made->chain_not_after(), to);
  EXPECT_EQ(made->serial().size(), 32u);
  EXPECT_EQ(made->serial().find_first_not_of("0123456789abcdef"), std::string::npos);
  EXPECT_EQ(made->issuer(), "Test Intermediate");
  EXPECT_TRUE(made->valid_at(from));
  EXPECT_FALSE(made->valid_at(from - std::chrono::seconds(1)));
  EXPECT_FALSE(made->valid_at(to));
}

TEST_F(CertificateTest, TheChainEndsWithItsFirstMember) {
  const auto made = ca().issue({"a.test"}, TestCa::now(), TestCa::now() + hours(24 * 36500));
  EXPECT_GT(made->not_after(), made->chain_not_after());
}

TEST_F(CertificateTest, AnIssuerThatHadExpiredBeforeDoesNotEndIt) {
  const WallTime from = TestCa::now() + hours(24 * 30000);
  const auto made = ca().issue({"a.test"}, from, from + hours(1));
  EXPECT_EQ(made->chain_not_after(), made->not_after());
}

TEST_F(CertificateTest, ReadsDatesFarAway) {
  const WallTime end_of_time{std::chrono::seconds(253402300799)};  // 9999-12-31T23:59:59Z
  EXPECT_EQ(ca().issue({"a.test"}, WallTime{}, end_of_time)->not_after(), end_of_time);
}

TEST_F(CertificateTest, SurvivesATripThroughDer) {
  const auto made = ca().issue({"a.test"});
  const auto chain = made->chain_der();
  ASSERT_EQ(chain.size(), 2u);
  auto key = private_key_from_der(private_key_to_der(made->key()));
  ASSERT_TRUE(key.has_value());
  const auto again = Certificate::from_der(chain, *key);
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ((*again)->serial(), made->serial());
  EXPECT_EQ((*again)->chain_der(), chain);
}

TEST_F(CertificateTest, CoversByRfc6125) {
  const auto made = ca().issue({"a.test", "*.w.test"});
  EXPECT_TRUE(made->covers(name("a.test")));
  EXPECT_TRUE(made->covers(name("x.w.test")));
  EXPECT_FALSE(made->covers(name("w.test")));
  EXPECT_FALSE(made->covers(name("x.y.w.test")));
  EXPECT_FALSE(made->covers(name("b.test")));
  EXPECT_FALSE(made->covers(name("a.test.a.test")));
}

TEST_F(CertificateTest, CoversHostsAsClientsWriteThem) {
  const auto made = ca().issue({"a.test", "*.w.test", "192.0.2.7", "2001:db8::1", "*.0.2.8"});
  for (const char* host : {"a.test", "A.TEST", "a.test.", "X.W.test.", "192.0.2.7", "[2001:db8::1]",
                           "[2001:DB8:0:0::1]", "2001:db8::1"}) {
    EXPECT_TRUE(made->covers_host(host)) << host;
  }
  for (const char* host :
       {"", ".", "a.test..", ".w.test", "w.test", "192.0.2.8", "[192.0.2.7]", "[2001:db8::2]",
        "[a.test]", "[]", "[", "*.w.test.x", "b.test", "192.0.2.7.", "a.test:443"}) {
    EXPECT_FALSE(made->covers_host(host)) << host;
  }
  EXPECT_FALSE(made->covers_host(std::string(100'000, 'a')));
}

TEST_F(CertificateTest, AWildcardNeverStandsForPartOfALabel) {
  const auto made = ca().issue({"f*.test", "*x.test", "a.*.test", "*", "*."});
  for (const char* host : {"foo.test", "ax.test", "a.b.test", "test", "a."}) {
    EXPECT_FALSE(made->covers_host(host)) << host;
  }
}

TEST_F(CertificateTest, LeavesOutNamesThatNoHostCanHave) {
  using namespace std::string_literals;
  const auto made =
      ca().issue({"a.test\0.evil.test"s, "sp ace.test", "ok.test", std::string(300, 'a')});
  EXPECT_THAT(made->names(), ElementsAre("ok.test"));
}

TEST_F(CertificateTest, RefusesAKeyThatIsNotTheLeafs) {
  const auto pem = ca().issue_pem({"a.test"}, generate_p256_key());
  EXPECT_THAT(failure(pem, generate_p256_key()).message, HasSubstr("private key"));
  EXPECT_THAT(failure(pem, generate_rsa_key()).message, HasSubstr("private key"));
  EXPECT_THAT(failure(pem, nullptr).message, HasSubstr("no private key"));
}

TEST_F(CertificateTest, RefusesWhatIsNoChain) {
  const PrivateKey key = generate_p256_key();
  const std::string pem = ca().issue_pem({"a.test"}, key);
  EXPECT_THAT(failure("", key).message, HasSubstr("no certificate"));
  EXPECT_THAT(failure("hello", key).message, HasSubstr("no certificate"));
  EXPECT_THAT(failure(private_key_pem(key), key).message, HasSubstr("no certificate"));
  EXPECT_THAT(failure(std::string((1 << 20) + 1, 'x'), key).message, HasSubstr("1 MiB"));
  EXPECT_THAT(failure(pem.substr(0, pem.size() - 40), key).message, HasSubstr("certificate 2"));
  EXPECT_THAT(
      failure("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", key).message,
      HasSubstr("does not parse"));
  std::string long_chain = pem;
  for (int i = 0; i < 15; ++i) long_chain += ca().intermediate_pem;
  EXPECT_THAT(failure(long_chain, key).message, HasSubstr("16"));
}

TEST_F(CertificateTest, EveryCutOfAPemIsAnErrorOrAWholeShorterChain) {
  const PrivateKey key = generate_p256_key();
  const std::string pem = ca().issue_pem({"a.test"}, key);
  for (size_t length = 0; length < pem.size(); ++length) {
    const auto made = Certificate::from_pem(pem.substr(0, length), key);
    if (made.has_value()) {
      EXPECT_EQ((*made)->names().front(), "a.test");
    }
  }
}

TEST_F(CertificateTest, IssuersAreShared) {
  const auto one = ca().issue({"a.test"});
  const auto two = ca().issue({"b.test"});
  EXPECT_EQ(one->chain()[1], two->chain()[1]);
  EXPECT_NE(one->chain()[0], two->chain()[0]);
}

TEST_F(CertificateTest, PrivateKeysAreReadInTheirUsualForms) {
  for (const PrivateKey& key : {generate_p256_key(), generate_rsa_key()}) {
    auto from_pem = private_key_from_pem(private_key_pem(key));
    ASSERT_TRUE(from_pem.has_value());
    EXPECT_EQ(private_key_to_der(*from_pem), private_key_to_der(key));
  }
  for (const char* bad :
       {"", "x", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"}) {
    EXPECT_FALSE(private_key_from_pem(bad).has_value());
    EXPECT_FALSE(private_key_from_der(bad).has_value());
  }
  EXPECT_FALSE(private_key_from_der(private_key_to_der(generate_p256_key()) + "x").has_value());
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(CertificateTest, KnowsItsResponder) {
  const test::OcspCa with_responder;
  const auto responder = [&](std::string_view url) {
    return with_responder.issue({"a.test"}, url)->ocsp_responder();
  };
  EXPECT_EQ(ca().issue({"a.test"})->ocsp_responder(), "");
  EXPECT_EQ(responder("http://ocsp.test/x?y"), "http://ocsp.test/x?y");
  EXPECT_EQ(responder("HTTPS://ocsp.test"), "HTTPS://ocsp.test");
  for (const char* bad :
       {"ldap://ocsp.test/", "file:///etc/passwd", "http:/ocsp.test", "ocsp.test",
        "http://ocsp.test/a b", "http://ocsp.test/\r\nX: y", "http://ocsp.test/\xc3\xbc", "\x01"}) {
    EXPECT_EQ(responder(bad), "") << bad;
  }
  const std::string longest = "http://" + std::string(1017, 'a');
  EXPECT_EQ(responder(longest), longest);
  EXPECT_EQ(responder(longest + "a"), "");
  EXPECT_EQ(ERR_peek_error(), 0u);
}

TEST_F(CertificateTest, AStapleIsOfACopyThatSharesTheRest) {
  const test::OcspCa with_responder;
  const auto bare = with_responder.issue({"a.test", "*.w.test"}, "http://ocsp.test/");
  EXPECT_EQ(bare->staple(), nullptr);
  const auto staple = std::make_shared<const Staple>(
      Staple{std::string(2000, 's'), TestCa::now(), TestCa::now() + hours(1)});
  const auto stapled = bare->with_staple(staple);
  EXPECT_EQ(bare->staple(), nullptr);
  EXPECT_EQ(stapled->staple(), staple);
  EXPECT_TRUE(stapled->staple()->good_at(TestCa::now()));
  EXPECT_FALSE(stapled->staple()->good_at(staple->next_update));
  EXPECT_EQ(stapled->chain(), bare->chain()) << "the buffers are shared";
  EXPECT_EQ(stapled->key(), bare->key());
  EXPECT_EQ(stapled->names(), bare->names());
  EXPECT_EQ(stapled->not_before(), bare->not_before());
  EXPECT_EQ(stapled->not_after(), bare->not_after());
  EXPECT_EQ(stapled->chain_not_after(), bare->chain_not_after());
  EXPECT_EQ(stapled->serial(), bare->serial());
  EXPECT_EQ(stapled->issuer(), bare->issuer());
  EXPECT_EQ(stapled->ocsp_responder(), bare->ocsp_responder());
  EXPECT_GE(stapled->bytes(), bare->bytes() + 2000);
  EXPECT_LE(stapled->bytes(), bare->bytes() + 2300);
  const auto again = stapled->with_staple(nullptr);
  EXPECT_EQ(again->staple(), nullptr);
  EXPECT_EQ(again->bytes(), bare->bytes());
}

TEST_F(CertificateTest, ItsIdentityIsItsLeaf) {
  const auto one = ca().issue({"a.test"});
  const auto other = ca().issue({"a.test"});
  EXPECT_EQ(one->leaf_hash().size(), 32u);
  EXPECT_NE(one->leaf_hash(), other->leaf_hash());
  EXPECT_FALSE(one->same_leaf(*other));
  const auto read_again = *Certificate::from_der(one->chain_der(), one->key());
  EXPECT_TRUE(one->same_leaf(*read_again));
  EXPECT_EQ(one->leaf_hash(), read_again->leaf_hash());
  EXPECT_TRUE(one->same_leaf(*one->with_staple(nullptr)));
  EXPECT_FALSE(one->is_rsa());
  EXPECT_TRUE(ca().issue({"a.test"}, TestCa::now(), TestCa::now() + hours(1), generate_rsa_key())
                  ->is_rsa());
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_F(CertificateTest, AP256CertificateTakesLittleMemory) {
  constexpr size_t kCount = 500;
  std::vector<std::pair<std::vector<std::string>, std::string>> forms;
  for (size_t i = 0; i < kCount; ++i) {
    const auto one = ca().issue({"a-customer-number-" + std::to_string(i) + ".example.com"});
    forms.emplace_back(one->chain_der(), private_key_to_der(one->key()));
  }
  std::vector<CertificatePtr> kept;
  kept.reserve(kCount);
  const auto before = mallinfo2().uordblks;
  for (const auto& [chain, der] : forms) {
    kept.push_back(*Certificate::from_der(chain, *private_key_from_der(der)));
  }
  const size_t each = (mallinfo2().uordblks - before) / kCount;
  std::printf("a P-256 certificate takes %zu bytes (leaf DER %zu), accounted as %zu\n", each,
              forms[0].first[0].size(), kept[0]->bytes());
  EXPECT_LE(each, 3072u);
  EXPECT_NEAR(static_cast<double>(kept[0]->bytes()), static_cast<double>(each), 0.15 * each);
}
#endif

}  // namespace
}  // namespace latchkey
