#pragma once
// What BoringSSL's CBS and CBB leave to write by hand. Included by .cc files alone; header-only, so
// that who reads DER needs no library for it.

#include <openssl/bytestring.h>
#include <openssl/mem.h>

#include <string>
#include <string_view>

#include "base/check.h"

namespace latchkey::acme {

// [number] IMPLICIT, of a primitive type.
constexpr unsigned implicit_tag(unsigned number) {
  return CBS_ASN1_CONTEXT_SPECIFIC | number;
}
// [number] EXPLICIT, and IMPLICIT of a constructed type.
constexpr unsigned explicit_tag(unsigned number) {
  return implicit_tag(number) | CBS_ASN1_CONSTRUCTED;
}

inline const uint8_t* bytes_of(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

// Lives as long as what `bytes` points into.
inline std::string_view view(const CBS& bytes) {
  return {reinterpret_cast<const char*>(CBS_data(&bytes)), CBS_len(&bytes)};
}
inline CBS cbs_of(std::string_view bytes) {
  CBS made;
  CBS_init(&made, bytes_of(bytes), bytes.size());
  return made;
}

// For calls that only a lack of memory makes fail: building is one.
inline void ok(int result) {
  CHECK(result == 1);
}

inline void add_value(CBB* to, unsigned tag, std::string_view contents) {
  CBB element;
  ok(CBB_add_asn1(to, &element, tag));
  ok(CBB_add_bytes(&element, bytes_of(contents), contents.size()));
  ok(CBB_flush(to));
}

// A whole element.
inline void add_raw(CBB* to, std::string_view der) {
  ok(CBB_add_bytes(to, bytes_of(der), der.size()));
}

inline std::string finish(CBB* builder) {
  uint8_t* bytes = nullptr;
  size_t size = 0;
  ok(CBB_finish(builder, &bytes, &size));
  const bssl::UniquePtr<uint8_t> owner(bytes);
  return {reinterpret_cast<const char*>(bytes), size};
}

// DER built by `fill`, which gets the builder.
template <typename Fill>
std::string build(Fill fill) {
  bssl::ScopedCBB builder;
  ok(CBB_init(builder.get(), 256));
  fill(builder.get());
  return finish(builder.get());
}

}  // namespace latchkey::acme
