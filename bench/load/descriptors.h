#pragma once
#include <cstdint>

namespace latchkey::bench {

// Raises the limit of open descriptors as far as it goes. Once, at the start.
void raise_descriptor_limit();
// How many connections can be open: the limit, without some for files and the like.
uint64_t usable_descriptors();

}  // namespace latchkey::bench
