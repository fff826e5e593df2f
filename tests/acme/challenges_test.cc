#include "acme/challenges.h"

#include <gtest/gtest.h>
#include <openssl/evp.h>
#include <openssl/obj.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <atomic>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "acme/csr.h"
#include "acme/jws.h"
#include "tests/support/test_certificates.h"

namespace latchkey::acme {
namespace {

ServerName name(const std::string& text) {
  return *ServerName::parse(text);
}

bssl::UniquePtr<X509> parse(const std::string& der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  return bssl::UniquePtr<X509>(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
}

std::string longest_name() {
  const std::string label(61, 'a');
  std::string text = label + "." + label + "." + label + "." + label + ".test";
  return text;
}

TEST(ChallengeCertificate, IsWhatRfc8737AsksFor) {
  for (const std::string& text : {std::string("a.test"), longest_name()}) {
    ChallengeTable table;
    const auto offer = table.offer_tls_alpn(name(text), "token.thumbprint");
    ASSERT_TRUE(offer);
    const CertificatePtr certificate = table.find_tls_alpn(name(text));
    ASSERT_NE(certificate, nullptr);
    EXPECT_EQ(certificate->names(), std::vector<std::string>{text});
    EXPECT_TRUE(certificate->valid_at(TestCa::now()));
    const auto x509 = parse(certificate->chain_der().front());
    ASSERT_NE(x509, nullptr);
    EXPECT_EQ(X509_get_version(x509.get()), X509_VERSION_3);
    const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(x509.get()));
    EXPECT_EQ(X509_verify(x509.get(), key.get()), 1) << "self-signed";
    const bssl::UniquePtr<ASN1_OBJECT> id(OBJ_txt2obj("1.3.6.1.5.5.7.1.31", 1));
    const int at = X509_get_ext_by_OBJ(x509.get(), id.get(), -1);
    ASSERT_GE(at, 0);
    X509_EXTENSION* extension = X509_get_ext(x509.get(), at);
    EXPECT_EQ(X509_EXTENSION_get_critical(extension), 1);
    const ASN1_OCTET_STRING* value = X509_EXTENSION_get_data(extension);
    const std::string bytes(reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                            static_cast<size_t>(ASN1_STRING_length(value)));
    EXPECT_EQ(bytes, "\x04\x20" + sha256("token.thumbprint"));
  }
}

TEST(ChallengeTable, AnswersExactlyWhatIsOffered) {
  ChallengeTable table;
  std::optional<ChallengeTable::Offer> offer = table.offer_http(name("a.test"), "t1", "t1.key");
  EXPECT_EQ(table.find_http(name("a.test"), "t1"), "t1.key");
  EXPECT_EQ(table.find_http(name("a.test"), "t"), std::nullopt);
  EXPECT_EQ(table.find_http(name("a.test"), "t2"), std::nullopt);
  EXPECT_EQ(table.find_http(name("a.test"), ""), std::nullopt);
  EXPECT_EQ(table.find_http(name("a.test"), std::string(10'000, 't')), std::nullopt);
  EXPECT_EQ(table.find_http(name("b.test"), "t1"), std::nullopt);
  EXPECT_EQ(table.find_tls_alpn(name("a.test")), nullptr);
  EXPECT_EQ(table.http_answers.value(), 1u);
  EXPECT_EQ(table.tls_alpn_answers.value(), 0u);
  offer.reset();
  EXPECT_EQ(table.find_http(name("a.test"), "t1"), std::nullopt);
}

TEST(ChallengeTable, OfTwoOffersTheNewerAnswersAndTheOlderComesBack) {
  ChallengeTable table;
  auto first = table.offer_tls_alpn(name("a.test"), "one");
  const CertificatePtr one = table.find_tls_alpn(name("a.test"));
  auto second = table.offer_tls_alpn(name("a.test"), "two");
  const CertificatePtr two = table.find_tls_alpn(name("a.test"));
  EXPECT_NE(one, two);
  *second = ChallengeTable::Offer();
  EXPECT_EQ(table.find_tls_alpn(name("a.test")), one);
  ChallengeTable::Offer moved = *std::move(first);
  EXPECT_EQ(table.find_tls_alpn(name("a.test")), one);
  moved = ChallengeTable::Offer();
  EXPECT_EQ(table.find_tls_alpn(name("a.test")), nullptr);
  EXPECT_NE(two, nullptr) << "who holds one keeps it";
}

TEST(ChallengeTable, AnOfferMayOutliveTheTable) {
  std::optional<ChallengeTable> table(std::in_place);
  const ChallengeTable::Offer offer = table->offer_http(name("a.test"), "t", "k");
  table.reset();
}

TEST(ChallengeTable, ThreadsLookWhileOthersOffer) {
  ChallengeTable table;
  std::atomic<bool> stop = false;
  std::atomic<int> wrong = 0;
  std::vector<std::thread> readers;
  for (int i = 0; i < 3; ++i) {
    readers.emplace_back([&] {
      while (!stop) {
        const CertificatePtr certificate = table.find_tls_alpn(name("a.test"));
        if (certificate && certificate->names() != std::vector<std::string>{"a.test"}) ++wrong;
        const auto answer = table.find_http(name("a.test"), "t");
        if (answer && *answer != "t.key") ++wrong;
      }
    });
  }
  for (int i = 0; i < 200; ++i) {
    const auto tls = table.offer_tls_alpn(name("a.test"), "x");
    const auto http = table.offer_http(name("a.test"), "t", "t.key");
    if (table.find_tls_alpn(name("a.test")) == nullptr) ++wrong;
  }
  stop = true;
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(table.find_tls_alpn(name("a.test")), nullptr);
}

TEST(ChallengeTable, AnAddressIsFoundByWhatTheCaSays) {  // RFC 8738, 5 and 6
  const std::pair<const char*, const char*> cases[] = {
      {"192.0.2.7", "7.2.0.192.in-addr.arpa"},
      {"2001:db8::7", "7.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"}};
  for (const auto& [text, sni] : cases) {
    const ServerName ip = *ServerName::parse_ip(text);
    ChallengeTable table;
    const auto tls = table.offer_tls_alpn(ip, "token.thumbprint");
    ASSERT_TRUE(tls);
    const CertificatePtr certificate = table.find_tls_alpn(name(sni));
    ASSERT_NE(certificate, nullptr) << sni;
    EXPECT_EQ(certificate->names(), std::vector<std::string>{text});
    EXPECT_EQ(table.find_tls_alpn(ip), nullptr);
    const auto http = table.offer_http(ip, "t", "t.key");
    EXPECT_EQ(table.find_http(ip, "t"), "t.key");
  }
}

TEST(Csr, NamesOneAddress) {
  for (const char* text : {"192.0.2.7", "2001:db8::7"}) {
    const std::string der = make_csr(*ServerName::parse_ip(text), generate_p256_key());
    EXPECT_EQ(TestCa::names_of_csr(der), TestCa::Names{text});
  }
}

TEST(Csr, NamesOneNameAndIsSignedByItsKey) {
  for (const std::string& text : {std::string("a.test"), longest_name()}) {
    const PrivateKey key = generate_p256_key();
    const std::string der = make_csr(name(text), key);
    const auto* at = reinterpret_cast<const uint8_t*>(der.data());
    const bssl::UniquePtr<X509_REQ> request(
        d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
    ASSERT_NE(request, nullptr);
    EXPECT_EQ(at, reinterpret_cast<const uint8_t*>(der.data()) + der.size());
    EXPECT_EQ(X509_REQ_verify(request.get(), key.get()), 1);
    EXPECT_NE(X509_REQ_verify(request.get(), generate_p256_key().get()), 1);
    EXPECT_EQ(X509_NAME_entry_count(X509_REQ_get_subject_name(request.get())), 0);
    EXPECT_EQ(X509_REQ_get_version(request.get()), 0);
    EXPECT_EQ(TestCa::names_of_csr(der), TestCa::Names{text});
  }
}

}  // namespace
}  // namespace latchkey::acme
