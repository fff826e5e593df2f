#include "edge/http/spare_buffers.h"

#include <utility>
#include <vector>

namespace latchkey::edge {
namespace {

struct Shelf {
  size_t smallest, largest;  // capacities
  size_t places;
  std::vector<std::string> buffers;
};

thread_local Shelf small{64, 8 << 10, 32, {}};
thread_local Shelf large{(8 << 10) + 1, 128 << 10, 8, {}};

}  // namespace

std::string take_spare_buffer(size_t size) {
  Shelf& shelf = size <= small.largest ? small : large;
  if (shelf.buffers.empty()) return {};
  std::string taken = std::move(shelf.buffers.back());
  shelf.buffers.pop_back();
  return taken;
}

void give_back(std::string& buffer) {
  std::string given;
  given.swap(buffer);
  const size_t room = given.capacity();
  Shelf& shelf = room <= small.largest ? small : large;
  if (room < shelf.smallest || room > shelf.largest || shelf.buffers.size() == shelf.places) return;
  given.clear();
  shelf.buffers.push_back(std::move(given));
}

}  // namespace latchkey::edge
