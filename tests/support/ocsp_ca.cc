#include "tests/support/ocsp_ca.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <array>
#include <cstring>
#include <ctime>

#include "base/check.h"
#include "base/text.h"

namespace latchkey::test {
namespace {

using std::chrono::hours;

constexpr uint8_t kSequence = 0x30, kOctets = 0x04, kBits = 0x03, kNull = 0x05, kTime = 0x18,
                  kEnumerated = 0x0a, kInteger = 0x02, kBoolean = 0x01;

std::string_view view(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

std::string oid(const char* text) {
  bssl::ScopedCBB cbb;
  CBB child;
  uint8_t* data = nullptr;
  size_t size = 0;
  CHECK(CBB_init(cbb.get(), 32) && CBB_add_asn1(cbb.get(), &child, CBS_ASN1_OBJECT) &&
        CBB_add_asn1_oid_from_text(&child, text, std::strlen(text)) &&
        CBB_finish(cbb.get(), &data, &size));
  std::string made(view(data, size));
  OPENSSL_free(data);
  return made;
}

std::string time_der(WallTime time) {
  const std::time_t seconds = time.time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y%m%d%H%M%SZ", &parts);
  return der(kTime, text.data());
}

std::string digest(std::string_view bytes, const EVP_MD* md) {
  std::array<uint8_t, EVP_MAX_MD_SIZE> out{};
  unsigned size = 0;
  CHECK(EVP_Digest(bytes.data(), bytes.size(), out.data(), &size, md, nullptr));
  return std::string(view(out.data(), size));
}

bssl::UniquePtr<X509> parse(std::string_view bytes) {
  const auto* at = reinterpret_cast<const uint8_t*>(bytes.data());
  bssl::UniquePtr<X509> made(d2i_X509(nullptr, &at, static_cast<long>(bytes.size())));
  CHECK(made != nullptr);
  return made;
}

template <typename T, typename I2d>
std::string to_der(T* object, I2d i2d) {
  uint8_t* bytes = nullptr;
  const int size = i2d(object, &bytes);
  CHECK(size > 0);
  std::string made(view(bytes, static_cast<size_t>(size)));
  OPENSSL_free(bytes);
  return made;
}

std::string subject_of(std::string_view certificate) {
  const auto x509 = parse(certificate);
  return to_der(X509_get_subject_name(x509.get()), i2d_X509_NAME);
}

// The bits of the public key without their count of unused ones.
std::string key_bits_of(std::string_view certificate) {
  const auto x509 = parse(certificate);
  const ASN1_BIT_STRING* bits = X509_get0_pubkey_bitstr(x509.get());
  return std::string(
      view(ASN1_STRING_get0_data(bits), static_cast<size_t>(ASN1_STRING_length(bits))));
}

std::string single_der(const OcspSingle& single) {
  std::string status;
  if (single.status == OcspSingle::Status::kRevoked) {
    std::string info = time_der(single.revoked_at);
    if (single.reason) {
      info += der(0xa0, der(kEnumerated, std::string(1, static_cast<char>(*single.reason))));
    }
    status = der(0xa1, info);
  } else {
    status = der(single.status == OcspSingle::Status::kGood ? 0x80 : 0x82, "");
  }
  std::string body = single.cert_id + status + time_der(single.this_update);
  if (single.next_update) body += der(0xa0, time_der(*single.next_update));
  if (!single.extensions.empty()) body += der(0xa1, single.extensions);
  return der(kSequence, body);
}

struct Form {
  std::string name;
  std::vector<std::string> names{};
  std::string responder{};
  bool ca = false;
  int extended_usage = NID_undef;
  WallTime not_before, not_after;
};

bssl::UniquePtr<ACCESS_DESCRIPTION> description(std::string_view url) {
  bssl::UniquePtr<ACCESS_DESCRIPTION> made(ACCESS_DESCRIPTION_new());
  ASN1_OBJECT_free(made->method);
  made->method = OBJ_dup(OBJ_nid2obj(NID_ad_OCSP));
  ASN1_STRING* text = ASN1_STRING_type_new(V_ASN1_IA5STRING);
  CHECK(ASN1_STRING_set(text, url.data(), static_cast<int>(url.size())));
  GENERAL_NAME_set0_value(made->location, GEN_URI, text);
  return made;
}

std::string make(const Form& form, EVP_PKEY* own, std::string_view issuer, EVP_PKEY* signer) {
  const bssl::UniquePtr<X509> made(X509_new());
  CHECK(X509_set_version(made.get(), 2));
  std::array<uint8_t, 12> random{};
  RAND_bytes(random.data(), random.size());
  random[0] = static_cast<uint8_t>((random[0] & 0x3f) | 0x40);
  const bssl::UniquePtr<BIGNUM> serial(BN_bin2bn(random.data(), random.size(), nullptr));
  CHECK(BN_to_ASN1_INTEGER(serial.get(), X509_get_serialNumber(made.get())) != nullptr);
  CHECK(ASN1_TIME_set(X509_getm_notBefore(made.get()), form.not_before.time_since_epoch().count()));
  CHECK(ASN1_TIME_set(X509_getm_notAfter(made.get()), form.not_after.time_since_epoch().count()));
  CHECK(X509_set_pubkey(made.get(), own));
  CHECK(X509_NAME_add_entry_by_txt(X509_get_subject_name(made.get()), "CN", MBSTRING_UTF8,
                                   reinterpret_cast<const uint8_t*>(form.name.data()),
                                   static_cast<int>(form.name.size()), -1, 0));
  const auto parent = issuer.empty() ? nullptr : parse(issuer);
  CHECK(
      X509_set_issuer_name(made.get(), X509_get_subject_name(parent ? parent.get() : made.get())));
  const bssl::UniquePtr<BASIC_CONSTRAINTS> constraints(BASIC_CONSTRAINTS_new());
  constraints->ca = form.ca ? 0xff : 0;
  CHECK(X509_add1_ext_i2d(made.get(), NID_basic_constraints, constraints.get(), 1, 0));
  if (!form.names.empty()) {
    const bssl::UniquePtr<GENERAL_NAMES> all(sk_GENERAL_NAME_new_null());
    for (const std::string& name : form.names) {
      GENERAL_NAME* one = GENERAL_NAME_new();
      ASN1_STRING* text = ASN1_STRING_type_new(V_ASN1_IA5STRING);
      CHECK(ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())));
      GENERAL_NAME_set0_value(one, GEN_DNS, text);
      CHECK(sk_GENERAL_NAME_push(all.get(), one));
    }
    CHECK(X509_add1_ext_i2d(made.get(), NID_subject_alt_name, all.get(), 0, 0));
  }
  if (!form.responder.empty()) {
    const bssl::UniquePtr<AUTHORITY_INFO_ACCESS> access(sk_ACCESS_DESCRIPTION_new_null());
    CHECK(sk_ACCESS_DESCRIPTION_push(access.get(), description(form.responder).release()));
    CHECK(X509_add1_ext_i2d(made.get(), NID_info_access, access.get(), 0, 0));
  }
  if (form.extended_usage != NID_undef) {
    const bssl::UniquePtr<EXTENDED_KEY_USAGE> usage(sk_ASN1_OBJECT_new_null());
    CHECK(sk_ASN1_OBJECT_push(usage.get(), OBJ_dup(OBJ_nid2obj(form.extended_usage))));
    CHECK(X509_add1_ext_i2d(made.get(), NID_ext_key_usage, usage.get(), 0, 0));
  }
  CHECK(X509_sign(made.get(), signer, EVP_sha256()));
  return to_der(made.get(), i2d_X509);
}

WallTime now() {
  return std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now());
}

std::string algorithm_of(const OcspForm& form, const EVP_PKEY* key) {
  const bool rsa = EVP_PKEY_id(key) == EVP_PKEY_RSA;
  if (!rsa) return der(kSequence, oid("1.2.840.10045.4.3.2"));
  if (!form.pss) return der(kSequence, oid("1.2.840.113549.1.1.11") + der(kNull, ""));
  const std::string sha256 = der(kSequence, oid("2.16.840.1.101.3.4.2.1") + der(kNull, ""));
  const std::string mgf1 = der(kSequence, oid("1.2.840.113549.1.1.8") + sha256);
  const std::string salt = der(kInteger, "\x20");
  return der(kSequence, oid("1.2.840.113549.1.1.10") +
                            der(kSequence, der(0xa0, sha256) + der(0xa1, mgf1) + der(0xa2, salt)));
}

std::string sign(std::string_view data, EVP_PKEY* key, bool pss) {
  bssl::ScopedEVP_MD_CTX context;
  EVP_PKEY_CTX* options = nullptr;
  CHECK(EVP_DigestSignInit(context.get(), &options, EVP_sha256(), nullptr, key));
  if (pss) {
    CHECK(EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) &&
          EVP_PKEY_CTX_set_rsa_pss_saltlen(options, -1));
  }
  size_t size = 0;
  const auto* bytes = reinterpret_cast<const uint8_t*>(data.data());
  CHECK(EVP_DigestSign(context.get(), nullptr, &size, bytes, data.size()));
  std::string signature(size, '\0');
  CHECK(EVP_DigestSign(context.get(), reinterpret_cast<uint8_t*>(signature.data()), &size, bytes,
                       data.size()));
  signature.resize(size);
  return signature;
}

// The parts of a certID; `serial` last.
struct IdParts {
  CBS algorithm, name, key, serial;
};
bool split(std::string_view cert_id, IdParts& parts) {
  CBS in;
  CBS id;
  CBS_init(&in, reinterpret_cast<const uint8_t*>(cert_id.data()), cert_id.size());
  return CBS_get_asn1(&in, &id, CBS_ASN1_SEQUENCE) &&
         CBS_get_asn1_element(&id, &parts.algorithm, CBS_ASN1_SEQUENCE) &&
         CBS_get_asn1_element(&id, &parts.name, CBS_ASN1_OCTETSTRING) &&
         CBS_get_asn1_element(&id, &parts.key, CBS_ASN1_OCTETSTRING) &&
         CBS_get_asn1(&id, &parts.serial, CBS_ASN1_INTEGER);
}
std::string text_of(const CBS& bytes) {
  return std::string(view(CBS_data(&bytes), CBS_len(&bytes)));
}

}  // namespace

std::string der(uint8_t tag, std::string_view contents) {
  std::string made(1, static_cast<char>(tag));
  const size_t size = contents.size();
  CHECK(size < 1 << 16);
  if (size >= 256) {
    made += {'\x82', static_cast<char>(size >> 8)};
  } else if (size >= 128) {
    made += '\x81';
  }
  made += static_cast<char>(size & 0xff);
  return made.append(contents);
}

std::string critical_extension() {
  return der(kSequence, der(kSequence, oid("1.3.6.1.4.1.99999.1") + der(kBoolean, "\xff") +
                                           der(kOctets, der(kNull, ""))));
}

std::string make_ocsp_answer(const OcspForm& form, const OcspSigner& signer) {
  const std::string status =
      der(kEnumerated, std::string(1, static_cast<char>(form.response_status)));
  if (form.response_status != 0) return der(kSequence, status);
  const std::string& shown = (form.pretended ? *form.pretended : signer).certificate;
  const std::string id = form.by_name
                             ? der(0xa1, subject_of(shown))
                             : der(0xa2, der(kOctets, digest(key_bits_of(shown), EVP_sha1())));
  std::string singles;
  for (const OcspSingle& single : form.singles) singles += single_der(single);
  std::string data = id + time_der(form.produced_at) + der(kSequence, singles);
  if (!form.extensions.empty()) data += der(0xa1, form.extensions);
  data = der(kSequence, data);
  std::string basic = data + algorithm_of(form, signer.key.get()) +
                      der(kBits, std::string(1, '\0') + sign(data, signer.key.get(), form.pss));
  std::string attached;
  for (const std::string& one : form.attached) attached += one;
  if (!attached.empty()) basic += der(0xa0, der(kSequence, attached));
  const std::string type =
      form.response_type.empty() ? oid("1.3.6.1.5.5.7.48.1.1") : form.response_type;
  const std::string bytes = type + der(kOctets, der(kSequence, basic));
  return der(kSequence, status + der(0xa0, der(kSequence, bytes)));
}

OcspCa::OcspCa(PrivateKey key, std::string_view name) {
  Form form{.name = std::string(name),
            .ca = true,
            .not_before = now() - hours(48),
            .not_after = now() + hours(24 * 3650)};
  self_.certificate = make(form, key.get(), "", key.get());
  self_.key = std::move(key);
}

OcspCa::OcspCa(std::string_view certificate_pem, std::string_view key_pem) {
  const bssl::UniquePtr<BIO> bio(
      BIO_new_mem_buf(certificate_pem.data(), static_cast<int>(certificate_pem.size())));
  const bssl::UniquePtr<X509> x509(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
  CHECK(x509 != nullptr);
  self_.certificate = to_der(x509.get(), i2d_X509);
  auto key = private_key_from_pem(key_pem);
  CHECK(key.has_value());
  self_.key = *std::move(key);
}

CertificatePtr OcspCa::issue(const std::vector<std::string>& names,
                             std::string_view responder) const {
  return issue(names, responder, now() - hours(1), now() + hours(24 * 90));
}

CertificatePtr OcspCa::issue(const std::vector<std::string>& names, std::string_view responder,
                             WallTime not_before, WallTime not_after, PrivateKey key) const {
  if (key == nullptr) key = generate_p256_key();
  const Form form{.name = names.front(),
                  .names = names,
                  .responder = std::string(responder),
                  .not_before = not_before,
                  .not_after = not_after};
  const std::vector<std::string> chain{make(form, key.get(), self_.certificate, self_.key.get()),
                                       self_.certificate};
  auto made = Certificate::from_der(chain, std::move(key));
  CHECK(made.has_value());
  return *std::move(made);
}

std::string OcspCa::certificate_pem() const {
  const bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
  CHECK(PEM_write_bio_X509(bio.get(), parse(self_.certificate).get()));
  const uint8_t* data = nullptr;
  size_t size = 0;
  CHECK(BIO_mem_contents(bio.get(), &data, &size));
  return std::string(view(data, size));
}

OcspSigner OcspCa::delegate(const Delegate& form) const {
  OcspSigner made;
  made.key = form.key ? form.key : generate_p256_key();
  Form certificate{.name = form.name,
                   .extended_usage = form.ocsp_signing ? NID_OCSP_sign : NID_server_auth,
                   .not_before = form.not_before,
                   .not_after = form.not_after};
  if (certificate.not_before == WallTime()) certificate.not_before = now() - hours(1);
  if (certificate.not_after == WallTime()) certificate.not_after = now() + hours(24);
  made.certificate = make(certificate, made.key.get(), self_.certificate, self_.key.get());
  return made;
}

std::string OcspCa::cert_id(const Certificate& certificate, bool sha256) const {
  const auto leaf = parse(certificate.chain_der().front());
  const std::string whole = to_der(X509_get_serialNumber(leaf.get()), i2d_ASN1_INTEGER);
  return cert_id(std::string_view(whole).substr(2), sha256);
}

std::string OcspCa::cert_id(std::string_view serial, bool sha256) const {
  const EVP_MD* md = sha256 ? EVP_sha256() : EVP_sha1();
  const std::string algorithm =
      der(kSequence, oid(sha256 ? "2.16.840.1.101.3.4.2.1" : "1.3.14.3.2.26") + der(kNull, ""));
  return der(kSequence, algorithm + der(kOctets, digest(subject_of(self_.certificate), md)) +
                            der(kOctets, digest(key_bits_of(self_.certificate), md)) +
                            der(kInteger, serial));
}

std::string cert_id_of_request(std::string_view request) {
  CBS in;
  CBS whole;
  CBS tbs;
  CBS list;
  CBS one;
  CBS id;
  CBS_init(&in, reinterpret_cast<const uint8_t*>(request.data()), request.size());
  if (!CBS_get_asn1(&in, &whole, CBS_ASN1_SEQUENCE) || CBS_len(&in) != 0 ||
      !CBS_get_asn1(&whole, &tbs, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&tbs, &list, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1(&list, &one, CBS_ASN1_SEQUENCE) ||
      !CBS_get_asn1_element(&one, &id, CBS_ASN1_SEQUENCE)) {
    return "";
  }
  return text_of(id);
}

std::string with_other_serial(std::string_view cert_id) {
  IdParts parts{};
  CHECK(split(cert_id, parts));
  std::string serial = text_of(parts.serial);
  serial.back() = static_cast<char>(serial.back() ^ 1);
  return der(kSequence, text_of(parts.algorithm) + text_of(parts.name) + text_of(parts.key) +
                            der(kInteger, serial));
}

std::string serial_of_cert_id(std::string_view cert_id) {
  IdParts parts{};
  if (!split(cert_id, parts)) return "";
  std::string serial = text_of(parts.serial);
  if (serial.size() > 1 && serial.front() == '\0') serial.erase(0, 1);
  return to_hex(serial);
}

}  // namespace latchkey::test
