#include <openssl/asn1.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "acme/base64url.h"
#include "acme/renewal_info.h"

namespace latchkey::acme {
namespace {

// An identifier is part of a URL, so it must not grow without bound.
constexpr int kMaxKeyId = 64;  // bytes; SHA-256 has 32
constexpr int kMaxSerial = 32;

std::string bytes_of(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

// The contents of its DER: big-endian, with a zero byte in front where the first bit is set.
std::string serial_of(X509* leaf) {
  const ASN1_INTEGER* serial = X509_get0_serialNumber(leaf);
  if (serial == nullptr || serial->type != V_ASN1_INTEGER) return {};
  std::string bytes = bytes_of(serial);
  if (bytes.empty()) bytes.push_back('\0');
  if ((static_cast<unsigned char>(bytes.front()) & 0x80) != 0) bytes.insert(0, 1, '\0');
  return bytes;
}

std::string authority_key_id_of(X509* leaf) {
  const bssl::UniquePtr<AUTHORITY_KEYID> authority(static_cast<AUTHORITY_KEYID*>(
      X509_get_ext_d2i(leaf, NID_authority_key_identifier, nullptr, nullptr)));
  ERR_clear_error();
  if (authority == nullptr || authority->keyid == nullptr) return {};
  return bytes_of(authority->keyid);
}

}  // namespace

std::string renewal_id(const Certificate& certificate) {
  return renewal_id(certificate.chain_der().front());
}

std::string renewal_id(std::string_view leaf_der) {
  const auto* at = reinterpret_cast<const uint8_t*>(leaf_der.data());
  const bssl::UniquePtr<X509> leaf(d2i_X509(nullptr, &at, static_cast<long>(leaf_der.size())));
  ERR_clear_error();
  if (leaf == nullptr) return {};
  const std::string authority = authority_key_id_of(leaf.get());
  const std::string serial = serial_of(leaf.get());
  if (authority.empty() || authority.size() > kMaxKeyId) return {};
  if (serial.empty() || serial.size() > kMaxSerial) return {};
  return base64url(authority) + "." + base64url(serial);
}

}  // namespace latchkey::acme
