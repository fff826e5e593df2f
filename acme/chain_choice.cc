#include "acme/chain_choice.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <string>

namespace latchkey::acme {
namespace {

constexpr size_t kMaxChainBytes = 128 << 10;  // as judge() has it
constexpr int kMaxCertificates = 10;

bssl::UniquePtr<X509> last_of(std::string_view chain_pem) {
  if (chain_pem.size() > kMaxChainBytes) return nullptr;
  const bssl::UniquePtr<BIO> bio(
      BIO_new_mem_buf(chain_pem.data(), static_cast<int>(chain_pem.size())));
  bssl::UniquePtr<X509> last;
  for (int read = 0; read < kMaxCertificates; ++read) {
    bssl::UniquePtr<X509> next(PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr));
    if (next == nullptr) break;
    last = std::move(next);
  }
  ERR_clear_error();
  return last;
}

std::string common_name_of(const X509_NAME* name) {
  const int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1);
  if (at < 0) return {};
  uint8_t* utf8 = nullptr;
  const int size =
      ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at)));
  const bssl::UniquePtr<uint8_t> owner(utf8);
  ERR_clear_error();
  if (size < 0) return {};
  return std::string(reinterpret_cast<const char*>(utf8), static_cast<size_t>(size));
}

}  // namespace

bool ends_under(std::string_view chain_pem, std::string_view common_name) {
  const bssl::UniquePtr<X509> last = last_of(chain_pem);
  if (last == nullptr || common_name.empty()) return false;
  return common_name_of(X509_get_issuer_name(last.get())) == common_name;
}

}  // namespace latchkey::acme
