#include "tests/support/test_certificates.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>

#include "base/check.h"

namespace latchkey {
namespace {

using std::chrono::hours;

bssl::UniquePtr<X509> parse(std::string_view der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  return bssl::UniquePtr<X509>(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
}

std::string to_der(X509* certificate) {
  uint8_t* bytes = nullptr;
  const int length = i2d_X509(certificate, &bytes);
  CHECK(length > 0);
  std::string der(reinterpret_cast<const char*>(bytes), static_cast<size_t>(length));
  OPENSSL_free(bytes);
  return der;
}

std::string text_of(BIO* bio) {
  const uint8_t* data = nullptr;
  size_t length = 0;
  CHECK(BIO_mem_contents(bio, &data, &length));
  return {reinterpret_cast<const char*>(data), length};
}

std::string to_pem(std::string_view der) {
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(bio.get(), parse(der).get()));
  return text_of(bio.get());
}

void add_names(X509* certificate, const TestCa::Names& names) {
  const bssl::UniquePtr<GENERAL_NAMES> all(sk_GENERAL_NAME_new_null());
  for (const std::string& name : names) {
    std::array<uint8_t, 16> address{};
    size_t length = 0;
    if (inet_pton(AF_INET, name.c_str(), address.data()) == 1) length = 4;
    if (inet_pton(AF_INET6, name.c_str(), address.data()) == 1) length = 16;
    GENERAL_NAME* one = GENERAL_NAME_new();
    ASN1_STRING* text = ASN1_STRING_type_new(length ? V_ASN1_OCTET_STRING : V_ASN1_IA5STRING);
    CHECK(length ? ASN1_STRING_set(text, address.data(), static_cast<int>(length))
                 : ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())));
    GENERAL_NAME_set0_value(one, length ? GEN_IPADD : GEN_DNS, text);
    CHECK(sk_GENERAL_NAME_push(all.get(), one));
  }
  CHECK(X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.get(), 0, 0));
}

void set_common_name(X509_NAME* name, const std::string& text) {
  CHECK(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const uint8_t*>(text.data()),
                                   static_cast<int>(text.size()), -1, 0));
}

// SHA-1 of the key, as RFC 5280, 4.2.1.2 has it.
bssl::UniquePtr<ASN1_OCTET_STRING> key_id(EVP_PKEY* key) {
  uint8_t* bytes = nullptr;
  const int length = i2d_PUBKEY(key, &bytes);
  CHECK(length > 0);
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  CHECK(EVP_Digest(bytes, static_cast<size_t>(length), digest.data(), &size, EVP_sha1(), nullptr));
  OPENSSL_free(bytes);
  bssl::UniquePtr<ASN1_OCTET_STRING> id(ASN1_OCTET_STRING_new());
  CHECK(ASN1_STRING_set(id.get(), digest.data(), static_cast<int>(size)));
  return id;
}

// Of its own key and its issuer's: ARI names a certificate by the latter.
void add_key_ids(X509* certificate, EVP_PKEY* own, EVP_PKEY* issuer) {
  const auto subject = key_id(own);
  CHECK(X509_add1_ext_i2d(certificate, NID_subject_key_identifier, subject.get(), 0, 0));
  const bssl::UniquePtr<AUTHORITY_KEYID> authority(AUTHORITY_KEYID_new());
  authority->keyid = key_id(issuer).release();
  CHECK(X509_add1_ext_i2d(certificate, NID_authority_key_identifier, authority.get(), 0, 0));
}

// Where a public CA puts the receipts of logs (RFC 6962); ours say nothing.
void add_scts(X509* certificate, size_t bytes) {
  const bssl::UniquePtr<ASN1_OBJECT> kind(OBJ_txt2obj("1.3.6.1.4.1.11129.2.4.2", 1));
  const bssl::UniquePtr<ASN1_OCTET_STRING> text(ASN1_OCTET_STRING_new());
  std::string noise(bytes, '\0');
  RAND_bytes(reinterpret_cast<uint8_t*>(noise.data()), noise.size());
  CHECK(ASN1_STRING_set(text.get(), noise.data(), static_cast<int>(noise.size())));
  const bssl::UniquePtr<X509_EXTENSION> extension(
      X509_EXTENSION_create_by_OBJ(nullptr, kind.get(), 0, text.get()));
  CHECK(extension != nullptr && X509_add_ext(certificate, extension.get(), -1));
}

bssl::UniquePtr<X509_REQ> parse_csr(std::string_view der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  bssl::UniquePtr<X509_REQ> csr(d2i_X509_REQ(nullptr, &at, static_cast<long>(der.size())));
  CHECK(csr != nullptr);
  return csr;
}

// An address of a CSR or certificate as text.
std::string address_text(const ASN1_OCTET_STRING* address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(address) == 4 ? AF_INET : AF_INET6;
  CHECK(inet_ntop(family, ASN1_STRING_get0_data(address), text.data(), text.size()) != nullptr);
  return text.data();
}

struct Form {
  std::string common_name;    // of the subject; none when empty
  const TestCa::Names names;  // none: a CA
  WallTime not_before;
  WallTime not_after;
  size_t sct_bytes = 0;
};

// `issuer`: DER, or "" for a self-signed one.
std::string make(const Form& form, EVP_PKEY* public_key, std::string_view issuer,
                 EVP_PKEY* signer) {
  const bssl::UniquePtr<X509> made(X509_new());
  CHECK(X509_set_version(made.get(), 2));
  std::array<uint8_t, 16> random{};
  RAND_bytes(random.data(), random.size());
  random[0] = static_cast<uint8_t>((random[0] & 0x3f) | 0x40);  // positive, and never shorter
  const bssl::UniquePtr<BIGNUM> serial(BN_bin2bn(random.data(), random.size(), nullptr));
  CHECK(BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(made.get())) != nullptr);
  CHECK(ASN1_TIME_set(X509_getm_notBefore(made.get()), form.not_before.time_since_epoch().count()));
  CHECK(ASN1_TIME_set(X509_getm_notAfter(made.get()), form.not_after.time_since_epoch().count()));
  CHECK(X509_set_pubkey(made.get(), public_key));
  if (!form.common_name.empty()) {
    set_common_name(X509_get_subject_name(made.get()), form.common_name);
  }
  const auto parent = issuer.empty() ? nullptr : parse(issuer);
  CHECK(
      X509_set_issuer_name(made.get(), X509_get_subject_name(parent ? parent.get() : made.get())));
  const bool ca = form.names.empty();
  const bssl::UniquePtr<BASIC_CONSTRAINTS> constraints(BASIC_CONSTRAINTS_new());
  constraints->ca = ca ? 0xff : 0;
  CHECK(X509_add1_ext_i2d(made.get(), NID_basic_constraints, constraints.get(), 1, 0));
  if (!ca) add_names(made.get(), form.names);
  add_key_ids(made.get(), public_key, signer);
  if (form.sct_bytes > 0) add_scts(made.get(), form.sct_bytes);
  CHECK(X509_sign(made.get(), signer, EVP_sha256()));
  return to_der(made.get());
}

}  // namespace

WallTime TestCa::now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

struct TestCa::Keys {
  PrivateKey root_key = generate_p256_key();
  PrivateKey intermediate_key = generate_p256_key();
  std::string root;
  std::string intermediate;

  explicit Keys(std::string_view name) {
    const WallTime start = TestCa::now() - hours(48);
    const Form root_form{std::string(name) + " Root", {}, start, start + hours(24 * 3650)};
    root = make(root_form, root_key.get(), "", root_key.get());
    const Form form{std::string(name) + " Intermediate", {}, start, start + hours(24 * 1825)};
    intermediate = make(form, intermediate_key.get(), root, root_key.get());
  }
};

TestCa::TestCa(std::string_view name) : TestCa(Keys(name)) {}

TestCa::TestCa(Keys keys)
    : root_pem(to_pem(keys.root)),
      intermediate_pem(to_pem(keys.intermediate)),
      intermediate_key_(keys.intermediate_key),
      intermediate_der_(keys.intermediate) {}

CertificatePtr TestCa::issue(const Names& names) const {
  return issue(names, TestCa::now() - hours(1), TestCa::now() + hours(24 * 90));
}

CertificatePtr TestCa::issue(const Names& names, WallTime not_before, WallTime not_after,
                             PrivateKey key) const {
  if (key == nullptr) key = generate_p256_key();
  auto made = Certificate::from_pem(issue_pem(names, not_before, not_after, key), key);
  CHECK(made.has_value());
  return *std::move(made);
}

std::string TestCa::issue_pem(const Names& names, const PrivateKey& key) const {
  return issue_pem(names, TestCa::now() - hours(1), TestCa::now() + hours(24 * 90), key);
}

std::string TestCa::issue_pem(const Names& names, WallTime not_before, WallTime not_after,
                              const PrivateKey& key) const {
  CHECK(!names.empty());
  const Form form{"", names, not_before, not_after, sct_bytes};
  return to_pem(make(form, key.get(), intermediate_der_, intermediate_key_.get())) +
         intermediate_pem;
}

std::string TestCa::issue_for_csr(std::string_view csr_der) const {
  return issue_pem(names_of_csr(csr_der), public_key_of_csr(csr_der));
}

std::string TestCa::issue_for_csr(std::string_view csr_der, WallTime not_before,
                                  WallTime not_after) const {
  return issue_pem(names_of_csr(csr_der), not_before, not_after, public_key_of_csr(csr_der));
}

PrivateKey TestCa::public_key_of_csr(std::string_view csr_der) {
  return {X509_REQ_get_pubkey(parse_csr(csr_der).get()), EVP_PKEY_free};
}

TestCa::Names TestCa::names_of_csr(std::string_view csr_der) {
  const auto csr = parse_csr(csr_der);
  const bssl::UniquePtr<X509_EXTENSIONS> extensions(X509_REQ_get_extensions(csr.get()));
  const bssl::UniquePtr<GENERAL_NAMES> all(static_cast<GENERAL_NAMES*>(
      X509V3_get_d2i(extensions.get(), NID_subject_alt_name, nullptr, nullptr)));
  Names names;
  for (size_t i = 0; all != nullptr && i < sk_GENERAL_NAME_num(all.get()); ++i) {
    const GENERAL_NAME* one = sk_GENERAL_NAME_value(all.get(), i);
    if (one->type == GEN_IPADD) names.push_back(address_text(one->d.iPAddress));
    if (one->type != GEN_DNS) continue;
    names.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(one->d.dNSName)),
                       static_cast<size_t>(ASN1_STRING_length(one->d.dNSName)));
  }
  return names;
}

std::string common_name(const std::string& pem) {
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  const bssl::UniquePtr<X509> certificate(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  if (!certificate) return "";
  std::array<char, 256> text{};
  const int length = X509_NAME_get_text_by_NID(X509_get_subject_name(certificate.get()),
                                               NID_commonName, text.data(), text.size());
  return length < 0 ? "" : std::string(text.data(), static_cast<size_t>(length));
}

std::string private_key_pem(const PrivateKey& key) {
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_PKCS8PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr));
  return text_of(bio.get());
}

PrivateKey generate_rsa_key(int bits) {
  const bssl::UniquePtr<RSA> rsa(RSA_new());
  const bssl::UniquePtr<BIGNUM> e(BN_new());
  CHECK(BN_set_word(e.get(), RSA_F4) && RSA_generate_key_ex(rsa.get(), bits, e.get(), nullptr));
  EVP_PKEY* key = EVP_PKEY_new();
  CHECK(EVP_PKEY_set1_RSA(key, rsa.get()));
  return {key, EVP_PKEY_free};
}

}  // namespace latchkey
