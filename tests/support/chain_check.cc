#include "tests/support/chain_check.h"

#include <openssl/bio.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cstdint>

namespace latchkey::test {
namespace {

bssl::UniquePtr<X509> parse(const std::string& der) {
  const auto* at = reinterpret_cast<const uint8_t*>(der.data());
  return bssl::UniquePtr<X509>(d2i_X509(nullptr, &at, static_cast<long>(der.size())));
}

}  // namespace

std::string chain_error(const std::vector<std::string>& chain, std::string_view roots_pem,
                        WallTime at) {
  const bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  const bssl::UniquePtr<BIO> bio(
      BIO_new_mem_buf(roots_pem.data(), static_cast<int>(roots_pem.size())));
  for (;;) {
    const bssl::UniquePtr<X509> root(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (root == nullptr) break;
    X509_STORE_add_cert(store.get(), root.get());
  }
  const bssl::UniquePtr<STACK_OF(X509)> untrusted(sk_X509_new_null());
  for (size_t i = 1; i < chain.size(); ++i) {
    bssl::UniquePtr<X509> one = parse(chain[i]);
    if (one == nullptr) return "a certificate does not parse";
    bssl::PushToStack(untrusted.get(), std::move(one));
  }
  const bssl::UniquePtr<X509> leaf = parse(chain.front());
  if (leaf == nullptr) return "the leaf does not parse";
  const bssl::UniquePtr<X509_STORE_CTX> context(X509_STORE_CTX_new());
  X509_STORE_CTX_init(context.get(), store.get(), leaf.get(), untrusted.get());
  X509_VERIFY_PARAM* const rules = X509_STORE_CTX_get0_param(context.get());
  X509_VERIFY_PARAM_set_time(rules, at.time_since_epoch().count());
  X509_VERIFY_PARAM_set_purpose(rules, X509_PURPOSE_SSL_SERVER);
  if (X509_verify_cert(context.get()) == 1) return "";
  return X509_verify_cert_error_string(X509_STORE_CTX_get_error(context.get()));
}

}  // namespace latchkey::test
