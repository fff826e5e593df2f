#include <openssl/x509.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"
#include "edge/configured.h"

namespace latchkey::edge {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxFile = 1 << 20;
constexpr std::string_view kCertificate = "-----BEGIN CERTIFICATE-----";

Error wrong(const fs::path& file, const std::string& what) {
  return {ErrorCode::kInvalid, file.string() + " " + what};
}

Result<std::string> read_regular(const fs::path& file) {
  struct stat found {};
  // A pipe would keep us waiting.
  if (::stat(file.c_str(), &found) == 0 && !S_ISREG(found.st_mode)) {
    return wrong(file, "is not a file");
  }
  auto text = read_file(file, kMaxFile);
  if (!text && ::access(file.c_str(), R_OK) != 0 && errno == EACCES) {
    return Error{ErrorCode::kIo,
                 text.error().message +
                     " (the service's user must be allowed to read it, and to enter the folders on "
                     "the way, also behind links)"};
  }
  return text;
}

bool has(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

bool is_der(const std::string& text) {
  return text.size() > 2 && text[0] == '\x30' && (static_cast<unsigned char>(text[1]) & 0x80) != 0;
}

// Not what from_pem() would find out: what else it is.
Result<> check_chain_text(const fs::path& file, const std::string& text) {
  if (has(text, kCertificate) || has(text, "-----BEGIN X509 CERTIFICATE-----")) return Unit{};
  if (has(text, "PRIVATE KEY-----")) {
    return wrong(file,
                 "holds a private key and no certificate: are cert_file and key_file swapped?");
  }
  if (has(text, "-----BEGIN PKCS7-----")) {
    return wrong(file,
                 "is PKCS#7; PEM certificates are made of it by: openssl pkcs7 -print_certs -in " +
                     file.string());
  }
  if (is_der(text)) {
    return wrong(file, "is DER, not PEM; it is converted by: openssl x509 -inform DER -in " +
                           file.string() + " (a .p12 or .pfx by: openssl pkcs12 -nodes -in …)");
  }
  return wrong(file, text.empty() ? "is empty" : "holds no certificate in PEM");
}

Result<> check_key_text(const fs::path& file, const std::string& text) {
  if (has(text, "PRIVATE KEY-----")) return Unit{};
  if (has(text, kCertificate)) {
    return wrong(file,
                 "holds a certificate and no private key: are cert_file and key_file swapped?");
  }
  if (is_der(text)) {
    return wrong(
        file, "is DER, not PEM; it is converted by: openssl pkey -inform DER -in " + file.string());
  }
  return wrong(file, text.empty() ? "is empty" : "holds no private key in PEM");
}

// The place (from 1) of the certificate that the key belongs to, when it is not the first; or 0.
size_t place_of_leaf(const std::string& text, const PrivateKey& key) {
  size_t at = text.find(kCertificate);
  for (size_t place = 2; place <= 16 && at != std::string::npos; ++place) {
    at = text.find(kCertificate, at + 1);
    if (at == std::string::npos) return 0;
    if (Certificate::from_pem(std::string_view(text).substr(at), key)) return place;
  }
  return 0;
}

}  // namespace

Result<CertificatePtr> read_pair(const Configured::Pair& pair) {
  auto chain = read_regular(pair.cert);
  if (!chain) return std::move(chain).error();
  auto key_text = read_regular(pair.key);
  if (!key_text) return std::move(key_text).error();
  if (auto text = check_chain_text(pair.cert, *chain); !text) return text.error();
  if (auto text = check_key_text(pair.key, *key_text); !text) return text.error();

  auto key = private_key_from_pem(*key_text);
  if (!key) {
    std::string why = pair.key.string() + ": " + key.error().message;
    if (has(*key_text, "ENCRYPTED")) {
      why += " (openssl pkey -in " + pair.key.string() + " -out …)";
    }
    return Error{ErrorCode::kInvalid, std::move(why)};
  }
  auto certificate = Certificate::from_pem(*chain, *key);
  if (certificate) return certificate;
  const size_t place = place_of_leaf(*chain, *key);
  if (place != 0) {
    return wrong(pair.cert, "is in the wrong order: the key belongs to its certificate " +
                                std::to_string(place) +
                                ", which must come first, with its issuers behind it");
  }
  return Error{ErrorCode::kInvalid, pair.cert.string() + " (with " + pair.key.string() +
                                        "): " + certificate.error().message};
}

std::string oddity_of(const Certificate& certificate) {
  if (certificate.names().empty()) {
    return "it has no names (subjectAltName), so no visitor is served with it";
  }
  bssl::UniquePtr<X509> below;
  for (size_t place = 0; place < certificate.chain().size(); ++place) {
    bssl::UniquePtr<X509> one(X509_parse_from_buffer(certificate.chain()[place]));
    if (one == nullptr) break;  // cannot be: it was parsed before
    if (below != nullptr &&
        X509_NAME_cmp(X509_get_issuer_name(below.get()), X509_get_subject_name(one.get())) != 0) {
      return "its chain is in disorder: certificate " + std::to_string(place + 1) +
             " is not the issuer of certificate " + std::to_string(place) +
             ", and not all clients mend that";
    }
    below = std::move(one);
  }
  return {};
}

}  // namespace latchkey::edge
