#include "acme/authority/ca_certificate.h"

#include <openssl/asn1.h>
#include <openssl/bn.h>
#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/obj.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <openssl/x509.h>

#include <array>

#include "acme/der.h"
#include "acme/ip_identifier.h"
#include "base/check.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr std::string_view kServerAuth("\x2b\x06\x01\x05\x05\x07\x03\x01", 8);
constexpr std::string_view kClientAuth("\x2b\x06\x01\x05\x05\x07\x03\x02", 8);
constexpr std::string_view kAdOcsp("\x2b\x06\x01\x05\x05\x07\x30\x01", 8);
constexpr std::string_view kAdCaIssuers("\x2b\x06\x01\x05\x05\x07\x30\x02", 8);
// BIT STRINGs of RFC 5280, 4.2.1.3.
constexpr std::string_view kSignCertificates("\x03\x02\x01\x86", 4);  // and CRLs, and answers
constexpr std::string_view kDigitalSignature("\x03\x02\x07\x80", 4);
constexpr std::string_view kSignAndEncipher("\x03\x02\x05\xa0", 4);
// RFC 7633: SEQUENCE { 5 }, the TLS extension status_request.
constexpr std::string_view kStatusRequest("\x30\x03\x02\x01\x05", 5);

bssl::UniquePtr<X509_EXTENSION> extension_of(int nid, bool critical, std::string_view der) {
  const bssl::UniquePtr<ASN1_OCTET_STRING> value(ASN1_OCTET_STRING_new());
  CHECK(value);
  ok(ASN1_OCTET_STRING_set(value.get(), bytes_of(der), static_cast<int>(der.size())));
  bssl::UniquePtr<X509_EXTENSION> extension(
      X509_EXTENSION_create_by_NID(nullptr, nid, critical ? 1 : 0, value.get()));
  CHECK(extension);
  return extension;
}

void add_extension(X509* to, int nid, bool critical, std::string_view der) {
  ok(X509_add_ext(to, extension_of(nid, critical, der).get(), -1));
}

bssl::UniquePtr<X509_NAME> name_of(const std::string& common_name) {
  bssl::UniquePtr<X509_NAME> name(X509_NAME_new());
  CHECK(name);
  ok(X509_NAME_add_entry_by_NID(name.get(), NID_commonName, MBSTRING_UTF8,
                                const_cast<uint8_t*>(bytes_of(common_name)),
                                static_cast<int>(common_name.size()), -1, 0));
  return name;
}

// 16 random bytes, positive: RFC 5280, 4.1.2.2.
void set_random_serial(X509* x509) {
  std::array<uint8_t, 16> bytes;
  RAND_bytes(bytes.data(), bytes.size());
  bytes[0] = static_cast<uint8_t>((bytes[0] & 0x3f) | 0x40);
  const bssl::UniquePtr<BIGNUM> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  CHECK(number);
  CHECK(BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(x509)) != nullptr);
}

std::string serial_of(const X509* x509) {
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(x509);
  return to_hex(ASN1_STRING_get0_data(serial), static_cast<size_t>(ASN1_STRING_length(serial)));
}

bssl::UniquePtr<ASN1_TIME> time_of(WallTime time) {
  bssl::UniquePtr<ASN1_TIME> out(ASN1_TIME_adj(nullptr, time.time_since_epoch().count(), 0, 0));
  CHECK(out);
  return out;
}

bssl::UniquePtr<X509> begin_certificate(WallTime not_before, WallTime not_after) {
  bssl::UniquePtr<X509> x509(X509_new());
  CHECK(x509);
  ok(X509_set_version(x509.get(), X509_VERSION_3));
  set_random_serial(x509.get());
  ok(X509_set1_notBefore(x509.get(), time_of(not_before).get()));
  ok(X509_set1_notAfter(x509.get(), time_of(not_after).get()));
  return x509;
}

std::string authority_key_identifier(std::string_view key_identifier) {
  return build([&](CBB* out) {
    CBB sequence;
    ok(CBB_add_asn1(out, &sequence, CBS_ASN1_SEQUENCE));
    add_value(&sequence, implicit_tag(0), key_identifier);
    ok(CBB_flush(out));
  });
}

std::string sign(X509* x509, const PrivateKey& key) {
  CHECK(X509_sign(x509, key.get(), EVP_sha256()) > 0);
  uint8_t* der = nullptr;
  const int size = i2d_X509(x509, &der);
  CHECK(size > 0);
  const bssl::UniquePtr<uint8_t> owner(der);
  return std::string(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
}

std::string alternative_names(const std::vector<ServerName>& names) {
  return build([&](CBB* out) {
    CBB sequence;
    ok(CBB_add_asn1(out, &sequence, CBS_ASN1_SEQUENCE));
    for (const ServerName& name : names) {
      if (name.is_ip()) {
        add_value(&sequence, implicit_tag(7), address_octets(name));
      } else {
        add_value(&sequence, implicit_tag(2), name.text());
      }
    }
    ok(CBB_flush(out));
  });
}

void add_url(CBB* to, std::string_view method, const std::string& url) {
  if (url.empty()) return;
  CBB description;
  ok(CBB_add_asn1(to, &description, CBS_ASN1_SEQUENCE));
  add_value(&description, CBS_ASN1_OBJECT, method);
  add_value(&description, implicit_tag(6), url);
  ok(CBB_flush(to));
}

// Where revocation is asked about, and where the issuer is found: RFC 5280, 4.2.2.1 and 4.2.1.13.
void add_places(X509* x509, const std::string& ocsp_url, const std::string& crl_url,
                const std::string& issuer_url) {
  if (!ocsp_url.empty() || !issuer_url.empty()) {
    add_extension(x509, NID_info_access, false, build([&](CBB* out) {
                    CBB sequence;
                    ok(CBB_add_asn1(out, &sequence, CBS_ASN1_SEQUENCE));
                    add_url(&sequence, kAdOcsp, ocsp_url);
                    add_url(&sequence, kAdCaIssuers, issuer_url);
                    ok(CBB_flush(out));
                  }));
  }
  if (crl_url.empty()) return;
  add_extension(x509, NID_crl_distribution_points, false, build([&](CBB* out) {
                  CBB points, point, name, full_name;
                  ok(CBB_add_asn1(out, &points, CBS_ASN1_SEQUENCE));
                  ok(CBB_add_asn1(&points, &point, CBS_ASN1_SEQUENCE));
                  ok(CBB_add_asn1(&point, &name, explicit_tag(0)));
                  ok(CBB_add_asn1(&name, &full_name, explicit_tag(0)));
                  add_value(&full_name, implicit_tag(6), crl_url);
                  ok(CBB_flush(out));
                }));
}

std::string extended_key_usage() {
  return build([&](CBB* out) {
    CBB sequence;
    ok(CBB_add_asn1(out, &sequence, CBS_ASN1_SEQUENCE));
    add_value(&sequence, CBS_ASN1_OBJECT, kServerAuth);
    add_value(&sequence, CBS_ASN1_OBJECT, kClientAuth);
    ok(CBB_flush(out));
  });
}

std::string basic_constraints(int path_length) {
  return build([&](CBB* out) {
    CBB sequence;
    ok(CBB_add_asn1(out, &sequence, CBS_ASN1_SEQUENCE));
    ok(CBB_add_asn1_bool(&sequence, 1));
    if (path_length >= 0) ok(CBB_add_asn1_uint64(&sequence, static_cast<uint64_t>(path_length)));
    ok(CBB_flush(out));
  });
}

// The contents of the SubjectPublicKeyInfo's BIT STRING.
std::string key_bits(const PrivateKey& key) {
  const std::string spki = public_key_to_der(key);
  CBS in, sequence, algorithm, bits;
  CBS_init(&in, bytes_of(spki), spki.size());
  CHECK(CBS_get_asn1(&in, &sequence, CBS_ASN1_SEQUENCE) &&
        CBS_get_asn1(&sequence, &algorithm, CBS_ASN1_SEQUENCE) &&
        CBS_get_asn1(&sequence, &bits, CBS_ASN1_BITSTRING) && CBS_skip(&bits, 1));
  return std::string(reinterpret_cast<const char*>(CBS_data(&bits)), CBS_len(&bits));
}

std::string hash(std::string_view bytes, bool sha256) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> out;
  if (sha256) {
    SHA256(bytes_of(bytes), bytes.size(), out.data());
  } else {
    SHA1(bytes_of(bytes), bytes.size(), out.data());
  }
  const size_t size = sha256 ? SHA256_DIGEST_LENGTH : SHA_DIGEST_LENGTH;
  return std::string(reinterpret_cast<const char*>(out.data()), size);
}

// REQUIRES: it is one of ours.
bssl::UniquePtr<X509> parse(std::string_view der) {
  const uint8_t* at = bytes_of(der);
  bssl::UniquePtr<X509> x509(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  CHECK(x509);
  return x509;
}

std::string common_name_in(const X509_NAME* name) {
  std::array<char, 256> text{};
  const int size =
      X509_NAME_get_text_by_NID(name, NID_commonName, text.data(), static_cast<int>(text.size()));
  return size > 0 ? std::string(text.data(), static_cast<size_t>(size)) : "";
}

}  // namespace

std::string make_ca_certificate(const CaForm& form, const Issuer* issuer) {
  const bssl::UniquePtr<X509> x509 = begin_certificate(form.not_before, form.not_after);
  ok(X509_set_subject_name(x509.get(), name_of(form.subject).get()));
  ok(X509_set_issuer_name(x509.get(), name_of(issuer ? issuer->subject : form.subject).get()));
  ok(X509_set_pubkey(x509.get(), form.key.get()));
  const std::string identifier = key_identifier(form.key);
  add_extension(x509.get(), NID_basic_constraints, true, basic_constraints(form.path_length));
  add_extension(x509.get(), NID_key_usage, true, kSignCertificates);
  add_extension(x509.get(), NID_subject_key_identifier, false,
                build([&](CBB* out) { add_value(out, CBS_ASN1_OCTETSTRING, identifier); }));
  if (issuer != nullptr) {
    add_extension(x509.get(), NID_authority_key_identifier, false,
                  authority_key_identifier(issuer->key_identifier));
  }
  add_places(x509.get(), "", form.crl_url, form.issuer_url);
  return sign(x509.get(), issuer ? issuer->key : form.key);
}

Result<> check_public_key(std::string_view spki) {
  CBS in;
  CBS_init(&in, bytes_of(spki), spki.size());
  const bssl::UniquePtr<EVP_PKEY> key(EVP_parse_public_key(&in));
  if (key == nullptr || CBS_len(&in) != 0) {
    return Error{ErrorCode::kInvalid, "the public key does not parse"};
  }
  if (const EC_KEY* const ec = EVP_PKEY_get0_EC_KEY(key.get()); ec != nullptr) {
    const int curve = EC_GROUP_get_curve_name(EC_KEY_get0_group(ec));
    if (curve == NID_X9_62_prime256v1 || curve == NID_secp384r1) return Unit{};
    return Error{ErrorCode::kInvalid, "the key's curve is not P-256 or P-384"};
  }
  const RSA* const rsa = EVP_PKEY_get0_RSA(key.get());
  if (rsa == nullptr) {
    return Error{ErrorCode::kInvalid,
                 "keys of this kind are not certified: use P-256, P-384 or RSA of 2048 to 4096 "
                 "bits"};
  }
  const unsigned bits = RSA_bits(rsa);
  if (bits < 2048 || bits > 4096 || bits % 8 != 0) {
    return Error{ErrorCode::kInvalid,
                 "an RSA key must have 2048 to 4096 bits, this has " + std::to_string(bits)};
  }
  // Smaller ones have been attacked, larger ones cost clients time.
  if (BN_num_bits(RSA_get0_e(rsa)) > 32 || BN_cmp_word(RSA_get0_e(rsa), 65537) < 0) {
    return Error{ErrorCode::kInvalid, "the RSA key's exponent must be 65537 to 2^32"};
  }
  return Unit{};
}

Result<MadeLeaf> make_leaf(const LeafForm& form, const Issuer& issuer) {
  CBS in;
  CBS_init(&in, bytes_of(form.public_key), form.public_key.size());
  const bssl::UniquePtr<EVP_PKEY> key(EVP_parse_public_key(&in));
  if (key == nullptr || CBS_len(&in) != 0) {
    return Error{ErrorCode::kInvalid, "the public key does not parse"};
  }
  const bool rsa = EVP_PKEY_id(key.get()) == EVP_PKEY_RSA;
  const bssl::UniquePtr<X509> x509 = begin_certificate(form.not_before, form.not_after);
  ok(X509_set_issuer_name(x509.get(), name_of(issuer.subject).get()));
  ok(X509_set_pubkey(x509.get(), key.get()));
  // Critical, as the subject is empty (RFC 5280, 4.1.2.6).
  add_extension(x509.get(), NID_subject_alt_name, true, alternative_names(form.names));
  add_extension(x509.get(), NID_key_usage, true, rsa ? kSignAndEncipher : kDigitalSignature);
  add_extension(x509.get(), NID_ext_key_usage, false, extended_key_usage());
  add_extension(x509.get(), NID_basic_constraints, true, "\x30" + std::string(1, '\0'));
  add_extension(x509.get(), NID_authority_key_identifier, false,
                authority_key_identifier(issuer.key_identifier));
  add_places(x509.get(), form.ocsp_url, form.crl_url, form.issuer_url);
  if (form.must_staple) {
    const bssl::UniquePtr<ASN1_OBJECT> feature(OBJ_txt2obj("1.3.6.1.5.5.7.1.24", 1));
    const bssl::UniquePtr<ASN1_OCTET_STRING> value(ASN1_OCTET_STRING_new());
    CHECK(feature && value);
    ok(ASN1_OCTET_STRING_set(value.get(), bytes_of(kStatusRequest),
                             static_cast<int>(kStatusRequest.size())));
    const bssl::UniquePtr<X509_EXTENSION> extension(
        X509_EXTENSION_create_by_OBJ(nullptr, feature.get(), 0, value.get()));
    CHECK(extension);
    ok(X509_add_ext(x509.get(), extension.get(), -1));
  }
  MadeLeaf leaf;
  leaf.der = sign(x509.get(), issuer.key);
  leaf.serial = serial_of(x509.get());
  return leaf;
}

std::string key_identifier(const PrivateKey& key) {
  return key_hash(key, true).substr(0, 20);
}

std::string key_hash(const PrivateKey& key, bool sha256) {
  return hash(key_bits(key), sha256);
}

std::string subject_hash(std::string_view certificate, bool sha256) {
  const bssl::UniquePtr<X509> x509 = parse(certificate);
  uint8_t* der = nullptr;
  const int size = i2d_X509_NAME(X509_get_subject_name(x509.get()), &der);
  CHECK(size > 0);
  const bssl::UniquePtr<uint8_t> owner(der);
  return hash({reinterpret_cast<const char*>(der), static_cast<size_t>(size)}, sha256);
}

std::string common_name(std::string_view certificate) {
  return common_name_in(X509_get_subject_name(parse(certificate).get()));
}

std::string issuer_common_name(std::string_view certificate) {
  return common_name_in(X509_get_issuer_name(parse(certificate).get()));
}

std::string serial_of(std::string_view certificate) {
  return serial_of(parse(certificate).get());
}

std::string make_crl(const Issuer& issuer, const std::vector<Revoked>& revoked,
                     WallTime this_update, WallTime next_update, uint64_t number) {
  const bssl::UniquePtr<X509_CRL> crl(X509_CRL_new());
  CHECK(crl);
  ok(X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2));
  ok(X509_CRL_set_issuer_name(crl.get(), name_of(issuer.subject).get()));
  ok(X509_CRL_set1_lastUpdate(crl.get(), time_of(this_update).get()));
  ok(X509_CRL_set1_nextUpdate(crl.get(), time_of(next_update).get()));
  for (const Revoked& one : revoked) {
    bssl::UniquePtr<X509_REVOKED> entry(X509_REVOKED_new());
    BIGNUM* value = nullptr;
    CHECK(entry && BN_hex2bn(&value, one.serial.c_str()) > 0);
    const bssl::UniquePtr<BIGNUM> owner(value);
    const bssl::UniquePtr<ASN1_INTEGER> serial(BN_to_ASN1_INTEGER(value, nullptr));
    CHECK(serial);
    ok(X509_REVOKED_set_serialNumber(entry.get(), serial.get()));
    ok(X509_REVOKED_set_revocationDate(entry.get(), time_of(one.at).get()));
    if (one.reason != 0) {  // "unspecified" is left out: RFC 5280, 5.3.1
      const std::string der("\x0a\x01" + std::string(1, static_cast<char>(one.reason)));
      ok(X509_REVOKED_add_ext(entry.get(), extension_of(NID_crl_reason, false, der).get(), -1));
    }
    ok(X509_CRL_add0_revoked(crl.get(), entry.release()));
  }
  ok(X509_CRL_add_ext(crl.get(),
                      extension_of(NID_authority_key_identifier, false,
                                   authority_key_identifier(issuer.key_identifier))
                          .get(),
                      -1));
  ok(X509_CRL_add_ext(crl.get(),
                      extension_of(NID_crl_number, false,
                                   build([&](CBB* out) { ok(CBB_add_asn1_uint64(out, number)); }))
                          .get(),
                      -1));
  ok(X509_CRL_sort(crl.get()));
  CHECK(X509_CRL_sign(crl.get(), issuer.key.get(), EVP_sha256()) > 0);
  uint8_t* der = nullptr;
  const int size = i2d_X509_CRL(crl.get(), &der);
  CHECK(size > 0);
  const bssl::UniquePtr<uint8_t> owner(der);
  return std::string(reinterpret_cast<const char*>(der), static_cast<size_t>(size));
}

}  // namespace latchkey::acme
