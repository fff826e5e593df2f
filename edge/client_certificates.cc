#include "edge/client_certificates.h"

#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>
#include <array>

#include "base/check.h"
#include "base/file.h"
#include "base/text.h"
#include "edge/config.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxPem = 4 << 20;
constexpr size_t kMaxSubject = 4096;
// What a CertificateRequest may name (its list is of 16-bit length); of more, clients are told none
// and choose by themselves.
constexpr size_t kMaxNames = 60'000;

Error invalid(std::string why) {
  return Error{ErrorCode::kInvalid, std::move(why)};
}

std::string der_of(X509& certificate) {
  uint8_t* der = nullptr;
  const int size = i2d_X509(&certificate, &der);
  const bssl::UniquePtr<uint8_t> owner(der);
  return size > 0 ? std::string(reinterpret_cast<const char*>(der), static_cast<size_t>(size)) : "";
}

std::string subject_of(const X509& certificate) {
  const bssl::UniquePtr<BIO> out(BIO_new(BIO_s_mem()));
  const uint8_t* bytes = nullptr;
  size_t size = 0;
  // Control characters and what is no ASCII come out as \XX.
  const unsigned long flags = XN_FLAG_RFC2253;
  if (X509_NAME_print_ex(out.get(), X509_get_subject_name(&certificate), 0, flags) < 0 ||
      !BIO_mem_contents(out.get(), &bytes, &size) || size > kMaxSubject) {
    return "";
  }
  std::string text(reinterpret_cast<const char*>(bytes), size);
  const bool clean =
      std::all_of(text.begin(), text.end(), [](char c) { return c >= ' ' && c < 127; });
  return clean ? text : "";
}

std::string serial_of(const X509& certificate) {
  const bssl::UniquePtr<BIGNUM> number(
      ASN1_INTEGER_to_BN(X509_get0_serialNumber(&certificate), nullptr));
  if (number == nullptr) return "";
  std::string bytes(BN_num_bytes(number.get()), '\0');
  auto* const at = reinterpret_cast<uint8_t*>(bytes.data());
  BN_bn2bin(number.get(), at);
  return bytes.empty() ? "00" : to_hex(at, bytes.size());
}

WallTime end_of(const X509& certificate) {
  const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0, seconds = 0;
  if (!ASN1_TIME_diff(&days, &seconds, epoch.get(), X509_get0_notAfter(&certificate))) return {};
  return WallTime(std::chrono::hours(24) * days + std::chrono::seconds(seconds));
}

}  // namespace

Result<std::shared_ptr<const ClientCertificates>> ClientCertificates::load(
    const ClientCertificatesConfig& config, const std::string& ca_file) {
  const auto pem = read_file(ca_file, kMaxPem);
  if (!pem) return Error(pem.error()).in("tls.client_certificates.ca_file");
  const auto bad = [&](const std::string& why) {
    return invalid(why).in(ca_file).in("tls.client_certificates.ca_file");
  };
  std::shared_ptr<ClientCertificates> made(new ClientCertificates);
  made->required_ = config.required;
  for (const std::string& host : config.hosts) {
    made->hosts_.push_back(host.starts_with("*.") ? host.substr(1) : host);
  }
  made->store_ = X509_STORE_new();
  made->names_ = sk_X509_NAME_new_null();
  CHECK(made->store_ != nullptr && made->names_ != nullptr);
  // Whatever is in the file vouches, an intermediate too.
  X509_STORE_set_flags(made->store_, X509_V_FLAG_PARTIAL_CHAIN);
  std::string all = made->required_ ? "require" : "request";
  size_t names = 0;
  const bssl::UniquePtr<BIO> in(BIO_new_mem_buf(pem->data(), static_cast<int>(pem->size())));
  for (int count = 1;; ++count) {
    ERR_clear_error();
    const bssl::UniquePtr<X509> one(PEM_read_bio_X509(in.get(), nullptr, nullptr, nullptr));
    if (one == nullptr) {
      const uint32_t why = ERR_peek_last_error();
      ERR_clear_error();
      const bool end =
          ERR_GET_LIB(why) == ERR_LIB_PEM && ERR_GET_REASON(why) == PEM_R_NO_START_LINE;
      if (!end) return bad("certificate " + std::to_string(count) + " of it cannot be read");
      if (count == 1) return bad("it holds no certificate; expected those of CAs, PEM");
      break;
    }
    CHECK(X509_STORE_add_cert(made->store_, one.get()));
    bssl::UniquePtr<X509_NAME> name(X509_NAME_dup(X509_get_subject_name(one.get())));
    CHECK(name != nullptr);
    names += 2 + static_cast<size_t>(std::max(0, i2d_X509_NAME(name.get(), nullptr)));
    CHECK(sk_X509_NAME_push(made->names_, name.release()));
    all += der_of(*one);
  }
  if (names > kMaxNames) {
    sk_X509_NAME_pop_free(made->names_, X509_NAME_free);
    made->names_ = sk_X509_NAME_new_null();
  }
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const uint8_t*>(all.data()), all.size(), digest.data());
  made->id_.assign(digest.begin(), digest.end());
  return std::shared_ptr<const ClientCertificates>(std::move(made));
}

ClientCertificates::~ClientCertificates() {
  X509_STORE_free(store_);
  sk_X509_NAME_pop_free(names_, X509_NAME_free);
}

bool ClientCertificates::asks(std::string_view host) const {
  if (hosts_.empty()) return true;
  // However many there are: what a certificate covers without one must not be another host here.
  while (host.ends_with('.')) host.remove_suffix(1);
  return std::any_of(hosts_.begin(), hosts_.end(), [host](const std::string& own) {
    return own.front() == '.' ? host.size() > own.size() && host.ends_with(own) : host == own;
  });
}

void ClientCertificates::install(ssl_ctx_st& context) const {
  X509_STORE_up_ref(store_);
  SSL_CTX_set_cert_store(&context, store_);
  STACK_OF(X509_NAME)* names = sk_X509_NAME_deep_copy(names_, X509_NAME_dup, X509_NAME_free);
  CHECK(names != nullptr);
  SSL_CTX_set_client_CA_list(&context, names);
}

void ClientCertificates::ask(ssl_st& ssl) const {
  SSL_set_verify(&ssl, SSL_VERIFY_PEER | (required_ ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0),
                 nullptr);
}

std::shared_ptr<const ClientIdentity> client_identity(ssl_st& ssl) {
  const bssl::UniquePtr<X509> leaf(SSL_get_peer_certificate(&ssl));
  if (leaf == nullptr || SSL_get_verify_result(&ssl) != X509_V_OK) return nullptr;
  const std::string der = der_of(*leaf);
  std::array<uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(reinterpret_cast<const uint8_t*>(der.data()), der.size(), digest.data());
  auto out = std::make_shared<ClientIdentity>();
  out->subject = subject_of(*leaf);
  out->fingerprint = to_hex(digest.data(), digest.size());
  out->serial = serial_of(*leaf);
  out->not_after = end_of(*leaf);
  return out;
}

bool was_refused(const ssl_st& ssl) {
  const long result = SSL_get_verify_result(&ssl);
  constexpr long kNotYet = X509_V_ERR_INVALID_CALL;
  if (result != X509_V_OK && result != kNotYet) return true;
  const uint32_t why = ERR_peek_last_error();
  return ERR_GET_LIB(why) == ERR_LIB_SSL &&
         ERR_GET_REASON(why) == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE;
}

void refuse_expired(ssl_st& ssl) {
  SSL_send_fatal_alert(&ssl, SSL_AD_CERTIFICATE_EXPIRED);
}

}  // namespace latchkey::edge
