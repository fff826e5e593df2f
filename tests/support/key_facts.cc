#include "tests/support/key_facts.h"

#include <openssl/evp.h>

namespace latchkey::test {

int key_bits(const PrivateKey& key) {
  return EVP_PKEY_bits(key.get());
}

bool is_rsa(const PrivateKey& key) {
  return EVP_PKEY_id(key.get()) == EVP_PKEY_RSA;
}

}  // namespace latchkey::test
