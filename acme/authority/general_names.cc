#include "acme/authority/general_names.h"

#include <arpa/inet.h>
#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/x509.h>

#include "acme/authority/server_problem.h"
#include "acme/authority/server_time.h"
#include "acme/der.h"
#include "base/text.h"

namespace latchkey::acme {
namespace {

constexpr unsigned kDnsName = implicit_tag(2);
constexpr unsigned kIpAddress = implicit_tag(7);
constexpr size_t kMaxLeafNames = 1000;

Error refused(std::string why) {
  return {ErrorCode::kInvalid, std::move(why)};
}

Result<ServerName> address_of(std::string_view octets) {
  char text[INET6_ADDRSTRLEN];
  if (octets.size() != 4 && octets.size() != 16) return refused("an address of an odd length");
  const int family = octets.size() == 4 ? AF_INET : AF_INET6;
  if (::inet_ntop(family, octets.data(), text, sizeof text) == nullptr) {
    return refused("an address that cannot be read");
  }
  return ServerName::parse_ip(text);
}

}  // namespace

Result<ServerName> name_in_certificate(std::string_view text) {
  if (text.starts_with("*.")) return ServerName::parse_wildcard(text);
  Result<ServerName> name = ServerName::parse(text);
  if (name) return name;
  Result<ServerName> address = ServerName::parse_ip(text);
  return address ? address : name;
}

Result<std::vector<ServerName>> names_in_general_names(std::string_view der, size_t max) {
  CBS in;
  CBS list;
  CBS_init(&in, reinterpret_cast<const uint8_t*>(der.data()), der.size());
  if (!CBS_get_asn1(&in, &list, CBS_ASN1_SEQUENCE) || CBS_len(&in) != 0) {
    return refused("has a subjectAltName that does not parse");
  }
  std::vector<ServerName> names;
  while (CBS_len(&list) > 0) {
    CBS one;
    unsigned tag = 0;
    if (!CBS_get_any_asn1(&list, &one, &tag)) {
      return refused("has a subjectAltName that does not parse");
    }
    if (tag != kDnsName && tag != kIpAddress) {
      return refused("asks for something else than DNS names and IP addresses");
    }
    if (names.size() == max) return refused("asks for more than " + std::to_string(max) + " names");
    const bool dns = tag == kDnsName;
    Result<ServerName> name = !dns                          ? address_of(view(one))
                              : view(one).starts_with("*.") ? ServerName::parse_wildcard(view(one))
                                                            : ServerName::parse(view(one));
    if (!name) {
      return refused("asks for " + (dns ? printable(view(one), 80) : "an address") +
                     ", which cannot be certified: " + name.error().message);
    }
    names.push_back(*std::move(name));
  }
  return names;
}

Result<LeafFacts> read_leaf(std::string_view der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  const bssl::UniquePtr<X509> leaf(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
  ERR_clear_error();
  if (leaf == nullptr || at != reinterpret_cast<const uint8_t*>(der.data()) + der.size()) {
    return refused("no certificate in DER");
  }
  LeafFacts facts;
  const ASN1_INTEGER* const serial = X509_get0_serialNumber(leaf.get());
  facts.serial = to_hex({reinterpret_cast<const char*>(ASN1_STRING_get0_data(serial)),
                         static_cast<size_t>(ASN1_STRING_length(serial))});
  uint8_t* spki = nullptr;
  const int size = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(leaf.get()), &spki);
  const bssl::UniquePtr<uint8_t> owner(spki);
  if (size > 0) facts.public_key.assign(reinterpret_cast<const char*>(spki), size);
  const int place = X509_get_ext_by_NID(leaf.get(), NID_subject_alt_name, -1);
  if (place >= 0) {
    const ASN1_STRING* const value = X509_EXTENSION_get_data(X509_get_ext(leaf.get(), place));
    Result<std::vector<ServerName>> names =
        names_in_general_names({reinterpret_cast<const char*>(ASN1_STRING_get0_data(value)),
                                static_cast<size_t>(ASN1_STRING_length(value))},
                               kMaxLeafNames);
    if (names) facts.names = *std::move(names);
  }
  return facts;
}

}  // namespace latchkey::acme
