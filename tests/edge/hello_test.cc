// Which certificates a ClientHello can do with.
#include "edge/hello.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "edge/tls_context.h"

namespace latchkey::edge {
namespace {

using List = std::vector<uint16_t>;

constexpr uint16_t kEcdsaSuite = 0xc02b;  // TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256
constexpr uint16_t kRsaSuite = 0xc030;    // TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384
constexpr uint16_t kCbcSuite = 0xc009;    // TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA: not ours
constexpr uint16_t kX25519 = 29;

std::string u16(size_t value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value & 0xff)};
}
std::string bytes(const List& values) {
  std::string out;
  for (const uint16_t value : values) out += u16(value);
  return out;
}
std::string with_length(const std::string& of) {
  return u16(of.size()) + of;
}

// A hello as BoringSSL hands it to us, of what decides; the rest is empty.
struct Parts {
  std::optional<List> schemes{};  // nullopt: no such extension
  List suites{kEcdsaSuite, kRsaSuite};
  std::optional<List> groups = List{kX25519};
  std::optional<List> versions{};
  std::optional<std::string> status{};
};

class HelloTest : public testing::Test {
 protected:
  Hello read(const Parts& parts) {
    std::string extensions;
    const auto add = [&](uint16_t type, const std::string& body) {
      extensions += u16(type) + with_length(body);
    };
    if (parts.schemes) add(TLSEXT_TYPE_signature_algorithms, with_length(bytes(*parts.schemes)));
    if (parts.groups) add(TLSEXT_TYPE_supported_groups, with_length(bytes(*parts.groups)));
    if (parts.versions) {
      const std::string list = bytes(*parts.versions);
      add(TLSEXT_TYPE_supported_versions, static_cast<char>(list.size()) + list);
    }
    if (parts.status) add(TLSEXT_TYPE_status_request, *parts.status);
    const std::string suites = bytes(parts.suites);
    SSL_CLIENT_HELLO hello{};
    hello.ssl = ssl_.get();
    hello.version = TLS1_2_VERSION;
    hello.cipher_suites = reinterpret_cast<const uint8_t*>(suites.data());
    hello.cipher_suites_len = suites.size();
    hello.extensions = reinterpret_cast<const uint8_t*>(extensions.data());
    hello.extensions_len = extensions.size();
    return read_hello(hello, {});
  }
  // "e" for ECDSA, "r" for RSA.
  std::string can(const Parts& parts) {
    const Hello hello = read(parts);
    return std::string(hello.can_ecdsa ? "e" : "") + (hello.can_rsa ? "r" : "");
  }

  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  TlsContext context_;
  std::unique_ptr<SSL, Free> ssl_{context_.make_ssl()};
};

TEST_F(HelloTest, InTls13TheSchemesDecideAlone) {
  const auto can13 = [this](List schemes) {
    return can(
        {.schemes = std::move(schemes), .suites = {0x1301}, .versions = List{0x0a0a, 0x0304}});
  };
  EXPECT_EQ(can13({SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PSS_RSAE_SHA256}), "er");
  EXPECT_EQ(can13({SSL_SIGN_ECDSA_SECP256R1_SHA256}), "e");
  EXPECT_EQ(can13({SSL_SIGN_RSA_PSS_RSAE_SHA512}), "r");
  EXPECT_EQ(can13({SSL_SIGN_RSA_PKCS1_SHA256}), "") << "for certificates alone, in TLS 1.3";
  EXPECT_EQ(can13({SSL_SIGN_ECDSA_SECP384R1_SHA384, SSL_SIGN_RSA_PSS_RSAE_SHA256}), "r")
      << "of another curve than our keys'";
  EXPECT_EQ(can13({SSL_SIGN_ED25519}), "");
}

TEST_F(HelloTest, InTls12SchemesOfAnyHashGoWithAKey) {
  EXPECT_EQ(can({.schemes = List{SSL_SIGN_RSA_PKCS1_SHA256}}), "r");
  EXPECT_EQ(can({.schemes = List{SSL_SIGN_RSA_PSS_RSAE_SHA256}}), "r");
  EXPECT_EQ(can({.schemes = List{SSL_SIGN_RSA_PKCS1_SHA1}}), "r");
  EXPECT_EQ(can({.schemes = List{SSL_SIGN_ECDSA_SECP384R1_SHA384}}), "e");
  EXPECT_EQ(can({.schemes = List{SSL_SIGN_ECDSA_SHA1}}), "e");
  EXPECT_EQ(can({.schemes = List{0x0303, 0x0402}}), "");
}

TEST_F(HelloTest, WithoutTheExtensionSha1IsMeant) {
  EXPECT_EQ(can({}), "er");
  EXPECT_EQ(can({.suites = {kRsaSuite}}), "r");
}

TEST_F(HelloTest, InTls12SuitesAndGroupsDecideToo) {
  const List all{SSL_SIGN_ECDSA_SECP256R1_SHA256, SSL_SIGN_RSA_PKCS1_SHA256};
  EXPECT_EQ(can({.schemes = all}), "er");
  EXPECT_EQ(can({.schemes = all, .suites = {kRsaSuite, kCbcSuite}}), "r");
  EXPECT_EQ(can({.schemes = all, .suites = {kEcdsaSuite}}), "e");
  EXPECT_EQ(can({.schemes = all, .suites = {kCbcSuite}}), "");
  EXPECT_EQ(can({.schemes = all, .groups = List{25, 256}}), "") << "all of ours need a group";
  EXPECT_EQ(can({.schemes = all, .groups = std::nullopt}), "");
  EXPECT_EQ(can({.schemes = List{SSL_SIGN_RSA_PKCS1_SHA256}, .suites = {kEcdsaSuite}}), "");
}

TEST_F(HelloTest, WhoCanDoNeitherIsLeftToTheHandshake) {
  EXPECT_EQ(read({.schemes = List{SSL_SIGN_ED25519}}).slot(), Slot::kMain);
  EXPECT_EQ(read({.schemes = List{SSL_SIGN_RSA_PKCS1_SHA256}}).slot(), Slot::kRsa);
  EXPECT_EQ(read({}).slot(), Slot::kMain);
}

TEST_F(HelloTest, AStapleIsWantedByStatusRequestOfTypeOcsp) {
  EXPECT_FALSE(read({}).wants_staple);
  EXPECT_TRUE(read({.status = std::string("\x01\0\0\0\0", 5)}).wants_staple);
  EXPECT_FALSE(read({.status = std::string("\x02\0\0\0\0", 5)}).wants_staple);
  EXPECT_FALSE(read({.status = ""}).wants_staple);
}

TEST_F(HelloTest, MalformedListsAreLeftToTheHandshake) {
  const auto raw = [this](uint16_t type, const std::string& body) {
    const std::string extensions = u16(type) + with_length(body);
    SSL_CLIENT_HELLO hello{};
    hello.ssl = ssl_.get();
    hello.extensions = reinterpret_cast<const uint8_t*>(extensions.data());
    hello.extensions_len = extensions.size();
    return read_hello(hello, {});
  };
  for (const uint16_t type : {TLSEXT_TYPE_signature_algorithms, TLSEXT_TYPE_supported_groups,
                              TLSEXT_TYPE_supported_versions, TLSEXT_TYPE_status_request,
                              TLSEXT_TYPE_application_layer_protocol_negotiation}) {
    for (const std::string& body : {std::string(), std::string("\0", 1), std::string("\xff\xff", 2),
                                    std::string("\0\x03\x04\x03\x05", 5)}) {
      EXPECT_FALSE(raw(type, body).has_server_name);
    }
  }
}

}  // namespace
}  // namespace latchkey::edge
