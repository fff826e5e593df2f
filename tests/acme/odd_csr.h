#pragma once
// Certificate requests (PKCS#10) as others make them: with a common name, with more names than one,
// and with things where none belong.

#include <openssl/bytestring.h>
#include <openssl/digest.h>
#include <openssl/evp.h>
#include <openssl/mem.h>

#include <string>
#include <string_view>
#include <vector>

#include "cache/private_key.h"

namespace latchkey::acme {

struct OddCsr {
  // Where a NULL stands that does not belong there.
  enum class Extra { kNowhere, kExtension, kList, kAttribute, kCommonName, kFeature, kFeatures };

  std::vector<std::string> names{};  // of the subjectAltName; none: it is not there
  std::string common_name{};         // "": none
  bool must_staple = false;
  Extra extra = Extra::kNowhere;

  // REQUIRES: an ECDSA or RSA key.
  std::string signed_by(const PrivateKey& key) const {
    bssl::ScopedCBB info_out;
    CBB info;
    CBB subject;
    CBB attributes;
    CBB_init(info_out.get(), 512);
    CBB_add_asn1(info_out.get(), &info, CBS_ASN1_SEQUENCE);
    CBB_add_asn1_uint64(&info, 0);
    CBB_add_asn1(&info, &subject, CBS_ASN1_SEQUENCE);
    if (!common_name.empty()) add_common_name(&subject);
    EVP_marshal_public_key(&info, key.get());
    CBB_add_asn1(&info, &attributes, CBS_ASN1_CONTEXT_SPECIFIC | CBS_ASN1_CONSTRUCTED | 0);
    add_extensions(&attributes);
    const std::string body = bytes_of(info_out.get());

    bssl::ScopedEVP_MD_CTX context;
    const auto* const message = reinterpret_cast<const uint8_t*>(body.data());
    size_t length = 0;
    EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get());
    EVP_DigestSign(context.get(), nullptr, &length, message, body.size());
    std::vector<uint8_t> signature(length);
    EVP_DigestSign(context.get(), signature.data(), &length, message, body.size());

    bssl::ScopedCBB out;
    CBB request;
    CBB algorithm;
    CBB bits;
    CBB_init(out.get(), 1024);
    CBB_add_asn1(out.get(), &request, CBS_ASN1_SEQUENCE);
    add(&request, body);
    CBB_add_asn1(&request, &algorithm, CBS_ASN1_SEQUENCE);
    const bool rsa = EVP_PKEY_id(key.get()) == EVP_PKEY_RSA;
    add_oid(&algorithm, rsa ? "1.2.840.113549.1.1.11" : "1.2.840.10045.4.3.2");
    if (rsa) add_null(&algorithm);
    CBB_add_asn1(&request, &bits, CBS_ASN1_BITSTRING);
    CBB_add_u8(&bits, 0);
    CBB_add_bytes(&bits, signature.data(), length);
    return bytes_of(out.get());
  }

 private:
  static void add(CBB* out, std::string_view bytes) {
    CBB_add_bytes(out, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size());
  }
  static void add_null(CBB* out) {
    CBB null;
    CBB_add_asn1(out, &null, CBS_ASN1_NULL);
    CBB_flush(out);
  }
  static void add_oid(CBB* out, std::string_view dotted) {
    CBB oid;
    CBB_add_asn1(out, &oid, CBS_ASN1_OBJECT);
    CBB_add_asn1_oid_from_text(&oid, dotted.data(), dotted.size());
    CBB_flush(out);
  }
  static std::string bytes_of(CBB* out) {
    uint8_t* data = nullptr;
    size_t size = 0;
    if (!CBB_finish(out, &data, &size)) return {};
    const bssl::UniquePtr<uint8_t> owner(data);
    return {reinterpret_cast<const char*>(data), size};
  }

  void add_common_name(CBB* subject) const {
    CBB set;
    CBB attribute;
    CBB value;
    CBB_add_asn1(subject, &set, CBS_ASN1_SET);
    CBB_add_asn1(&set, &attribute, CBS_ASN1_SEQUENCE);
    add_oid(&attribute, "2.5.4.3");
    CBB_add_asn1(&attribute, &value, CBS_ASN1_UTF8STRING);
    add(&value, common_name);
    if (extra == Extra::kCommonName) add_null(&attribute);
    CBB_flush(subject);
  }
  void add_extensions(CBB* attributes) const {
    CBB attribute;
    CBB values;
    CBB list;
    CBB_add_asn1(attributes, &attribute, CBS_ASN1_SEQUENCE);
    add_oid(&attribute, "1.2.840.113549.1.9.14");
    CBB_add_asn1(&attribute, &values, CBS_ASN1_SET);
    CBB_add_asn1(&values, &list, CBS_ASN1_SEQUENCE);
    if (!names.empty()) {
      CBB extension;
      CBB value;
      CBB general;
      CBB_add_asn1(&list, &extension, CBS_ASN1_SEQUENCE);
      add_oid(&extension, "2.5.29.17");
      CBB_add_asn1(&extension, &value, CBS_ASN1_OCTETSTRING);
      CBB_add_asn1(&value, &general, CBS_ASN1_SEQUENCE);
      for (const std::string& one : names) {
        CBB name;
        CBB_add_asn1(&general, &name, CBS_ASN1_CONTEXT_SPECIFIC | 2);
        add(&name, one);
      }
      CBB_flush(&extension);
      if (extra == Extra::kExtension) add_null(&extension);
    }
    if (must_staple) {
      CBB extension;
      CBB value;
      CBB features;
      CBB_add_asn1(&list, &extension, CBS_ASN1_SEQUENCE);
      add_oid(&extension, "1.3.6.1.5.5.7.1.24");
      CBB_add_asn1(&extension, &value, CBS_ASN1_OCTETSTRING);
      CBB_add_asn1(&value, &features, CBS_ASN1_SEQUENCE);
      CBB_add_asn1_uint64(&features, 5);
      if (extra == Extra::kFeatures) add_null(&features);
      CBB_flush(&value);
      if (extra == Extra::kFeature) add_null(&value);
    }
    CBB_flush(&values);
    if (extra == Extra::kList) add_null(&values);
    CBB_flush(&attribute);
    if (extra == Extra::kAttribute) add_null(&attribute);
    CBB_flush(attributes);
  }
};

}  // namespace latchkey::acme
