#pragma once
#include "cache/private_key.h"

namespace latchkey::test {

int key_bits(const PrivateKey& key);
bool is_rsa(const PrivateKey& key);

}  // namespace latchkey::test
