#pragma once
#include <cstdint>

#include "base/result.h"

namespace latchkey::bench {

// Raises the limit of open descriptors as far as it goes. Once, at the start.
void raise_descriptor_limit();
// How many connections can be open: the limit, without some for files and the like.
uint64_t usable_descriptors();
// Whether `count` connections, which `option` asks for, are at most `limit`.
Result<> check_descriptors(const char* option, uint64_t count, uint64_t limit);

}  // namespace latchkey::bench
