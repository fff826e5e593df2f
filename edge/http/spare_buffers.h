#pragma once
#include <cstddef>
#include <string>

namespace latchkey::edge {

// Buffers that connections have given back serve this thread's next ones: as many as have something
// to say in one turn of its loop. At most 32 of 8 KiB and 8 of 128 KiB are kept.

// Empty; has some room if there is a spare one of the size that suits `size`, none otherwise.
std::string take_spare_buffer(size_t size);
// Leaves `buffer` empty and without memory.
void give_back(std::string& buffer);

}  // namespace latchkey::edge
