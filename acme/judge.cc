#include "acme/judge.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/mem.h>
#include <openssl/obj.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <utility>

#include "acme/problem.h"

namespace latchkey::acme {
namespace {

constexpr size_t kMaxChainBytes = 128 << 10;
constexpr size_t kMaxCertificates = 10;
constexpr size_t kMaxSerial = 20;  // bytes: RFC 5280, 4.1.2.2
constexpr auto kSkew = std::chrono::minutes(5);
constexpr std::string_view kEnd = "-----END CERTIFICATE-----";

using X509Ptr = bssl::UniquePtr<X509>;

Error refused(std::string why) {
  return Error{ErrorCode::kProtocol,
               "the CA's certificate was refused before it was stored: " + std::move(why)};
}

std::string ordinal(size_t index) {
  return index == 0 ? "the leaf" : "certificate " + std::to_string(index + 1) + " of the chain";
}

std::string show(WallTime time) {
  const std::time_t seconds = std::chrono::system_clock::to_time_t(time);
  std::tm broken{};
  gmtime_r(&seconds, &broken);
  char text[32];
  std::strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S UTC", &broken);
  return text;
}

std::string_view trimmed(std::string_view text) {
  const size_t last = text.find_last_not_of(" \t\r\n");
  return last == std::string_view::npos ? std::string_view() : text.substr(0, last + 1);
}

// One PEM block's bytes; an empty string when no further block begins.
Result<std::string> read_block(BIO* bio, size_t index) {
  char* type = nullptr;
  char* header = nullptr;
  uint8_t* data = nullptr;
  long size = 0;
  if (PEM_read_bio(bio, &type, &header, &data, &size) != 1) {
    const uint32_t error = ERR_peek_last_error();
    ERR_clear_error();
    if (ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE) {
      return std::string();
    }
    return refused(ordinal(index) + " is not valid PEM (cut off or damaged)");
  }
  const bssl::UniquePtr<char> own_type(type);
  const bssl::UniquePtr<char> own_header(header);
  const bssl::UniquePtr<uint8_t> own_data(data);
  if (std::string_view(type) != "CERTIFICATE") {
    return refused("found a PEM block \"" + printable(type, 60) + "\" among the certificates");
  }
  if (size == 0) return refused(ordinal(index) + " is empty");
  return std::string(reinterpret_cast<const char*>(data), static_cast<size_t>(size));
}

Result<std::vector<std::string>> read_pem(std::string_view pem) {
  if (pem.size() > kMaxChainBytes) return refused("the chain is longer than 128 KiB");
  const std::string_view text = trimmed(pem);
  if (text.size() < kEnd.size() || text.substr(text.size() - kEnd.size()) != kEnd) {
    return refused("it does not end with \"" + std::string(kEnd) + "\" but with \"" +
                   printable(text.substr(text.size() - std::min<size_t>(text.size(), 40))) + "\"");
  }
  const bssl::UniquePtr<BIO> bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  std::vector<std::string> chain;
  for (;;) {
    Result<std::string> der = read_block(bio.get(), chain.size());
    if (!der) return std::move(der).error();
    if (der->empty()) break;
    if (chain.size() == kMaxCertificates) return refused("more than 10 certificates in the chain");
    chain.push_back(*std::move(der));
  }
  if (chain.empty()) return refused("no certificate in the CA's answer");
  return chain;
}

Result<> check_different(const std::vector<std::string>& chain) {
  for (size_t i = 0; i < chain.size(); ++i) {
    for (size_t earlier = 0; earlier < i; ++earlier) {
      if (chain[earlier] != chain[i]) continue;
      return refused(ordinal(i) + " is the same as " + ordinal(earlier));
    }
  }
  return Unit{};
}

Result<std::vector<X509Ptr>> parse_chain(const std::vector<std::string>& chain) {
  std::vector<X509Ptr> parsed;
  for (const std::string& der : chain) {
    const auto* in = reinterpret_cast<const uint8_t*>(der.data());
    const uint8_t* const end = in + der.size();
    X509Ptr x509(d2i_X509(nullptr, &in, static_cast<long>(der.size())));
    ERR_clear_error();
    if (x509 == nullptr || in != end) {
      return refused(ordinal(parsed.size()) + " does not parse as an X.509 certificate");
    }
    parsed.push_back(std::move(x509));
  }
  return parsed;
}

// Every certificate was signed by the one behind it.
Result<> check_order(const std::vector<X509Ptr>& chain) {
  for (size_t i = 0; i + 1 < chain.size(); ++i) {
    X509* const issuer = chain[i + 1].get();
    const bssl::UniquePtr<EVP_PKEY> key(X509_get_pubkey(issuer));
    const bool named =
        X509_NAME_cmp(X509_get_issuer_name(chain[i].get()), X509_get_subject_name(issuer)) == 0;
    const bool signature = named && key != nullptr && X509_verify(chain[i].get(), key.get()) == 1;
    ERR_clear_error();
    if (!signature) {
      return refused("the chain is not in order: " + ordinal(i + 1) + " did not sign " +
                     ordinal(i));
    }
    if (X509_check_ca(issuer) == 0) {
      return refused(ordinal(i + 1) + " is not a CA's certificate");
    }
  }
  return Unit{};
}

// What the leaf itself says of its use. Absent usages allow all (RFC 5280, 4.2.1.3 and 4.2.1.12).
Result<> check_use(X509* leaf) {
  if (X509_check_ca(leaf) == 1) return refused("it is a CA's certificate, not a server's");
  if ((X509_get_extended_key_usage(leaf) & (XKU_SSL_SERVER | XKU_ANYEKU)) == 0) {
    return refused("its extended key usage does not allow TLS servers (serverAuth)");
  }
  if ((X509_get_key_usage(leaf) & X509v3_KU_DIGITAL_SIGNATURE) == 0) {
    return refused("its key usage does not allow digital signatures, which TLS makes");
  }
  return Unit{};
}

std::string show(const std::vector<std::string>& names) {
  std::string all;
  for (const std::string& name : names) all += (all.empty() ? "" : ", ") + printable(name, 253);
  return all.empty() ? "no name" : printable(all);
}

Result<> check_leaf(const Certificate& leaf, const ServerName& name, WallTime now) {
  const auto& names = leaf.names();
  const auto own = std::count(names.begin(), names.end(), name.text());
  if (own == 0) {
    return refused("it is not for " + name.text() + " but for " + show(names));
  }
  if (static_cast<size_t>(own) != names.size()) {
    return refused("it is for more names than " + name.text() +
                   ", the only one asked for: " + show(names));
  }
  if (leaf.not_before() > now + kSkew) {
    return refused("it is valid from " + show(leaf.not_before()) + " on, and our clock says " +
                   show(now) + "; is the clock right?");
  }
  if (leaf.not_after() <= now) {
    return refused("it expired at " + show(leaf.not_after()) + ", and our clock says " + show(now) +
                   "; is the clock right?");
  }
  return Unit{};
}

bool an_issuer_has_expired(const std::vector<X509Ptr>& chain, WallTime now) {
  std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  return std::any_of(chain.begin() + 1, chain.end(), [&](const X509Ptr& issuer) {
    return X509_cmp_time(X509_get0_notAfter(issuer.get()), &seconds) < 0;
  });
}

// RFC 7633: does it say that who serves it must staple?
bool must_staple(const X509* leaf) {
  const bssl::UniquePtr<ASN1_OBJECT> feature(OBJ_txt2obj("1.3.6.1.5.5.7.1.24", 1));
  return X509_get_ext_by_OBJ(leaf, feature.get(), -1) >= 0;
}

std::vector<std::string> warnings_of(const Certificate& leaf, const std::vector<X509Ptr>& chain,
                                     WallTime now) {
  std::vector<std::string> warnings;
  if (must_staple(chain.front().get()) && leaf.ocsp_responder().empty()) {
    warnings.push_back(
        "it must be served with an OCSP staple (must-staple), but names no responder to get one "
        "from: some clients will refuse it; take must_staple out of the configuration");
  }
  const std::string& serial = leaf.serial();  // hex
  const bool zero = serial.find_first_not_of('0') == std::string::npos;
  if (zero || serial.size() > 2 * kMaxSerial) {
    warnings.push_back("its serial number " + printable(serial, 100) +
                       " is not a positive number of at most 20 bytes: some clients may refuse it");
  }
  const WallTime end = leaf.chain_not_after();
  if (an_issuer_has_expired(chain, now)) {
    warnings.push_back("an issuer in the chain has expired: clients may refuse it");
  } else if (end < leaf.not_after()) {
    warnings.push_back("the leaf is valid until " + show(leaf.not_after()) +
                       ", but an issuer in the chain only until " + show(end));
  }
  return warnings;
}

}  // namespace

Result<Judged> judge(std::string_view chain_pem, const ServerName& name, const PrivateKey& key,
                     WallTime now) {
  Result<std::vector<std::string>> chain = read_pem(chain_pem);
  if (!chain) return std::move(chain).error();
  if (Result<> different = check_different(*chain); !different) {
    return std::move(different).error();
  }
  const Result<std::vector<X509Ptr>> parsed = parse_chain(*chain);
  if (!parsed) return parsed.error();
  const bssl::UniquePtr<EVP_PKEY> leaf_key(X509_get_pubkey(parsed->front().get()));
  if (leaf_key == nullptr || EVP_PKEY_cmp(leaf_key.get(), key.get()) != 1) {
    return refused("it is not for the key that we asked for");
  }
  if (Result<> order = check_order(*parsed); !order) return std::move(order).error();
  if (Result<> use = check_use(parsed->front().get()); !use) return std::move(use).error();
  Result<CertificatePtr> certificate = Certificate::from_der(*chain, key);
  if (!certificate) return refused(certificate.error().message);
  if (Result<> leaf = check_leaf(**certificate, name, now); !leaf) return std::move(leaf).error();
  return Judged{*certificate, warnings_of(**certificate, *parsed, now)};
}

}  // namespace latchkey::acme
