#include "cache/certificate.h"

#include <arpa/inet.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/pool.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/check.h"
#include "base/text.h"

namespace latchkey {
namespace {

constexpr size_t kMaxChain = 16;         // certificates
constexpr size_t kMaxPem = 1 << 20;      // bytes; of DER too
constexpr size_t kMaxName = 253;         // bytes of a dNSName
constexpr size_t kMaxResponder = 1024;   // bytes of an OCSP responder's URL
constexpr size_t kBufferOverhead = 80;   // a CRYPTO_BUFFER and its place in the heap
constexpr size_t kObjectOverhead = 128;  // control blocks, the heap's own bytes

// BoringSSL's errors lie in a queue of the thread, where the next SSL call would find them.
struct ErrorQueue {
  ~ErrorQueue() { ERR_clear_error(); }
};

// Lives as long as the process: issuers are few, and certificates may outlive main.
CRYPTO_BUFFER_POOL* issuer_pool() {
  static CRYPTO_BUFFER_POOL* const pool = CRYPTO_BUFFER_POOL_new();
  return pool;
}

// RFC 6125: a wildcard stands for the whole first label, and for one label only.
bool matches(std::string_view pattern, std::string_view host) {
  if (!pattern.starts_with("*.")) return same_text(pattern, host);
  const size_t dot = host.find('.');
  return dot != 0 && dot != host.npos && same_text(pattern.substr(1), host.substr(dot));
}

// The text form of an address as inet_ntop writes it, or "" for what is none.
std::string address_text(const std::string& host) {
  std::array<uint8_t, 16> address{};
  std::array<char, INET6_ADDRSTRLEN> text{};
  for (const int family : {AF_INET, AF_INET6}) {
    if (inet_pton(family, host.c_str(), address.data()) != 1) continue;
    return inet_ntop(family, address.data(), text.data(), text.size());
  }
  return {};
}

bool may_be_address(std::string_view host) {
  return host.find(':') != host.npos || (!host.empty() && host.back() >= '0' && host.back() <= '9');
}

std::optional<WallTime> wall_time(const ASN1_TIME* time) {
  static const bssl::UniquePtr<ASN1_TIME> epoch(ASN1_TIME_set(nullptr, 0));
  int days = 0;
  int seconds = 0;
  if (!ASN1_TIME_diff(&days, &seconds, epoch.get(), time)) return std::nullopt;
  return WallTime(std::chrono::hours(24) * days + std::chrono::seconds(seconds));
}

// The last common name, or the whole name on one line where there is none.
std::string readable(const X509_NAME* name) {
  int last = -1;
  for (int i = -1; (i = X509_NAME_get_index_by_NID(name, NID_commonName, i)) >= 0;) last = i;
  if (last >= 0) {
    uint8_t* utf8 = nullptr;
    const int length =
        ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
    if (length >= 0) {
      std::string text(reinterpret_cast<const char*>(utf8), static_cast<size_t>(length));
      OPENSSL_free(utf8);
      return text;
    }
  }
  std::array<char, 512> line{};
  X509_NAME_oneline(name, line.data(), static_cast<int>(line.size()));
  return line.data();
}

std::string_view view(const ASN1_STRING* text) {
  return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(text)),
          static_cast<size_t>(ASN1_STRING_length(text))};
}

// Leaves out what can match no host: other bytes than a name's, addresses in disguise.
std::vector<std::string> subject_names(const X509* leaf) {
  std::vector<std::string> names;
  const bssl::UniquePtr<GENERAL_NAMES> all(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(leaf, NID_subject_alt_name, nullptr, nullptr)));
  const size_t count = all == nullptr ? 0 : sk_GENERAL_NAME_num(all.get());
  for (size_t i = 0; i < count; ++i) {
    const GENERAL_NAME* one = sk_GENERAL_NAME_value(all.get(), i);
    if (one->type == GEN_DNS) {
      std::string name = lower(view(one->d.dNSName));
      const bool clean = !name.empty() && name.size() <= kMaxName &&
                         std::all_of(name.begin(), name.end(), [](char c) {
                           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
                                  c == '.' || c == '_' || c == '*';
                         });
      if (clean && address_text(name).empty()) names.push_back(std::move(name));
    } else if (one->type == GEN_IPADD) {
      const std::string_view raw = view(one->d.iPAddress);
      std::array<char, INET6_ADDRSTRLEN> text{};
      const int family = raw.size() == 4 ? AF_INET : raw.size() == 16 ? AF_INET6 : AF_UNSPEC;
      if (family != AF_UNSPEC && inet_ntop(family, raw.data(), text.data(), text.size())) {
        names.emplace_back(text.data());
      }
    }
  }
  names.shrink_to_fit();
  return names;
}

// Would make a request's line and a log's: nothing but what a URL has.
bool is_http_url(std::string_view text) {
  return text.size() <= kMaxResponder &&
         (same_text(text.substr(0, 7), "http://") || same_text(text.substr(0, 8), "https://")) &&
         std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < '\x7f'; });
}

// The first that we can ask, of RFC 5280's authorityInfoAccess (4.2.2.1).
std::string responder_of(const X509* leaf) {
  const bssl::UniquePtr<AUTHORITY_INFO_ACCESS> all(static_cast<AUTHORITY_INFO_ACCESS*>(
      X509_get_ext_d2i(leaf, NID_info_access, nullptr, nullptr)));
  const size_t count = all == nullptr ? 0 : sk_ACCESS_DESCRIPTION_num(all.get());
  for (size_t i = 0; i < count; ++i) {
    const ACCESS_DESCRIPTION* one = sk_ACCESS_DESCRIPTION_value(all.get(), i);
    if (OBJ_obj2nid(one->method) != NID_ad_OCSP || one->location->type != GEN_URI) continue;
    const std::string_view url = view(one->location->d.uniformResourceIdentifier);
    if (is_http_url(url)) return std::string(url);
  }
  return {};
}

size_t staple_bytes(const StaplePtr& staple) {
  return staple == nullptr ? 0 : sizeof(Staple) + kObjectOverhead + staple->der.capacity();
}

std::string_view bytes_of(const CRYPTO_BUFFER* buffer) {
  return {reinterpret_cast<const char*>(CRYPTO_BUFFER_data(buffer)), CRYPTO_BUFFER_len(buffer)};
}

size_t key_bytes(const EVP_PKEY* key) {
  // Measured: a P-256 key, and an RSA key with the numbers that it prepares when it first signs.
  return EVP_PKEY_id(key) == EVP_PKEY_RSA ? static_cast<size_t>(EVP_PKEY_bits(key)) * 3 : 560;
}

Error invalid(size_t place, const char* what) {
  return {ErrorCode::kInvalid,
          "certificate " + std::to_string(place + 1) + " of the chain " + what};
}

}  // namespace

Result<CertificatePtr> Certificate::from_pem(std::string_view chain_pem, PrivateKey key) {
  const ErrorQueue errors;
  if (chain_pem.size() > kMaxPem) {
    return Error{ErrorCode::kInvalid, "the certificate chain is longer than 1 MiB of PEM"};
  }
  const bssl::UniquePtr<BIO> bio(
      BIO_new_mem_buf(chain_pem.data(), static_cast<int>(chain_pem.size())));
  CHECK(bio != nullptr);
  std::vector<std::string> chain;
  for (;;) {
    char* name = nullptr;
    char* header = nullptr;
    uint8_t* data = nullptr;
    long length = 0;  // NOLINT: the type that BoringSSL wants
    if (!PEM_read_bio(bio.get(), &name, &header, &data, &length)) break;
    const std::string_view label = name;
    if (label == "CERTIFICATE" || label == "X509 CERTIFICATE") {
      chain.emplace_back(reinterpret_cast<const char*>(data), static_cast<size_t>(length));
    }
    OPENSSL_free(name);
    OPENSSL_free(header);
    OPENSSL_free(data);
  }
  const bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  if (!at_end) return invalid(chain.size(), "is not readable PEM; is the file cut off?");
  return from_der(chain, std::move(key));
}

Result<CertificatePtr> Certificate::from_der(const std::vector<std::string>& chain,
                                             PrivateKey key) {
  const ErrorQueue errors;
  if (chain.empty()) return Error{ErrorCode::kInvalid, "there is no certificate in the chain"};
  if (chain.size() > kMaxChain) {
    return Error{ErrorCode::kInvalid, "the chain has more than 16 certificates"};
  }
  if (key == nullptr) return Error{ErrorCode::kInvalid, "the certificate has no private key"};

  const std::shared_ptr<Certificate> made(new Certificate);
  made->chain_.reserve(chain.size());
  size_t total = 0;
  for (size_t place = 0; place < chain.size(); ++place) {
    const bool leaf = place == 0;
    const std::string& der = chain[place];
    total += der.size();
    if (total > kMaxPem) return invalid(place, "makes it longer than 1 MiB");
    CRYPTO_BUFFER* buffer = CRYPTO_BUFFER_new(reinterpret_cast<const uint8_t*>(der.data()),
                                              der.size(), leaf ? nullptr : issuer_pool());
    CHECK(buffer != nullptr);
    made->chain_.push_back(buffer);

    // Parsed for what we need of it and let go: a parsed certificate has several KiB.
    const bssl::UniquePtr<X509> x509(X509_parse_from_buffer(buffer));
    if (x509 == nullptr) return invalid(place, "does not parse");
    const auto not_before = wall_time(X509_get0_notBefore(x509.get()));
    const auto not_after = wall_time(X509_get0_notAfter(x509.get()));
    if (!not_before || !not_after) return invalid(place, "has dates that do not parse");
    if (!leaf) {
      // One that had expired before the leaf was made: a new leaf would not mend that.
      const bool counts = *not_after > made->not_before_;
      if (counts) made->chain_not_after_ = std::min(made->chain_not_after_, *not_after);
      continue;
    }
    const bssl::UniquePtr<EVP_PKEY> public_key(X509_get_pubkey(x509.get()));
    if (public_key == nullptr) return invalid(place, "has a public key that does not parse");
    if (EVP_PKEY_cmp(public_key.get(), key.get()) != 1) {
      return invalid(place, "does not belong to the private key");
    }
    made->not_before_ = *not_before;
    made->not_after_ = made->chain_not_after_ = *not_after;
    made->names_ = subject_names(x509.get());
    const ASN1_INTEGER* const serial = X509_get0_serialNumber(x509.get());
    made->serial_ =
        to_hex(ASN1_STRING_get0_data(serial), static_cast<size_t>(ASN1_STRING_length(serial)));
    made->issuer_ = readable(X509_get_issuer_name(x509.get()));
    made->ocsp_responder_ = responder_of(x509.get());
  }
  made->key_ = std::move(key);

  made->bytes_ = sizeof(Certificate) + kObjectOverhead + chain[0].size() + kBufferOverhead +
                 chain.size() * sizeof(CRYPTO_BUFFER*) + key_bytes(made->key_.get()) +
                 made->serial_.capacity() + made->issuer_.capacity() +
                 made->ocsp_responder_.capacity();
  for (const std::string& name : made->names_) made->bytes_ += sizeof(name) + name.capacity();
  return CertificatePtr(made);
}

Certificate::~Certificate() {
  for (CRYPTO_BUFFER* buffer : chain_) CRYPTO_BUFFER_free(buffer);
}

std::vector<std::string> Certificate::chain_der() const {
  std::vector<std::string> chain;
  chain.reserve(chain_.size());
  for (const CRYPTO_BUFFER* buffer : chain_) chain.emplace_back(bytes_of(buffer));
  return chain;
}

CertificatePtr Certificate::with_staple(StaplePtr staple) const {
  const std::shared_ptr<Certificate> made(new Certificate);
  made->chain_.reserve(chain_.size());
  for (CRYPTO_BUFFER* buffer : chain_) {
    CRYPTO_BUFFER_up_ref(buffer);
    made->chain_.push_back(buffer);
  }
  made->key_ = key_;
  made->names_ = names_;
  made->not_before_ = not_before_;
  made->not_after_ = not_after_;
  made->chain_not_after_ = chain_not_after_;
  made->serial_ = serial_;
  made->issuer_ = issuer_;
  made->ocsp_responder_ = ocsp_responder_;
  made->bytes_ = bytes_ - staple_bytes(staple_) + staple_bytes(staple);
  made->staple_ = std::move(staple);
  return made;
}

std::string Certificate::leaf_hash() const {
  const std::string_view leaf = bytes_of(chain_[0]);
  std::string hash(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const uint8_t*>(leaf.data()), leaf.size(),
         reinterpret_cast<uint8_t*>(hash.data()));
  return hash;
}

bool Certificate::same_leaf(const Certificate& other) const {
  return chain_[0] == other.chain_[0] || bytes_of(chain_[0]) == bytes_of(other.chain_[0]);
}

bool Certificate::is_rsa() const {
  return EVP_PKEY_id(key_.get()) == EVP_PKEY_RSA;
}

bool Certificate::covers(const ServerName& name) const {
  return std::any_of(names_.begin(), names_.end(),
                     [&](const std::string& own) { return matches(own, name.text()); });
}

// Called for each request, so it copies nothing for a host name.
bool Certificate::covers_host(std::string_view host) const {
  if (host.empty() || host.size() > kMaxName + 2) return false;
  const bool bracketed = host.front() == '[' && host.back() == ']';
  if (bracketed) host = host.substr(1, host.size() - 2);
  const bool dotted = !bracketed && host.back() == '.';
  if (dotted) host.remove_suffix(1);
  if (may_be_address(host)) {
    const std::string address = address_text(std::string(host));
    const bool version_6 = address.find(':') != address.npos;
    if (!address.empty()) {
      return bracketed <= version_6 && !dotted &&
             std::find(names_.begin(), names_.end(), address) != names_.end();
    }
  }
  return !bracketed && std::any_of(names_.begin(), names_.end(),
                                   [&](const std::string& own) { return matches(own, host); });
}

}  // namespace latchkey
