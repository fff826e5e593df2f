#include "edge/http/body_queue.h"

#include <utility>

#include "edge/http/read_buffer.h"
#include "edge/http/spare_buffers.h"

namespace latchkey::edge {
namespace {

constexpr size_t kRoom = ReadBuffer::kRoom;  // for the heads of some frames

}  // namespace

void BodyQueue::append(std::string_view bytes) {
  if (empty()) {
    if (bytes_.capacity() < kRoom) bytes_ = take_spare_buffer(kRoom + bytes.size());
    bytes_.resize(kRoom);
    from_ = kRoom;
  } else if (bytes_.size() + bytes.size() > bytes_.capacity() && from_ - kRoom >= size()) {
    bytes_.erase(kRoom, from_ - kRoom);  // moves no more than has been sent
    from_ = kRoom;
  }
  bytes_.append(bytes);
}

void BodyQueue::lend(std::string_view bytes) {
  if (!empty() || room_before(bytes) < kRoom) return append(bytes);
  lent_ = bytes;
}

void BodyQueue::keep() {
  if (!lent_.empty()) append(std::exchange(lent_, {}));
}

void BodyQueue::move(size_t bytes, Outbox& out) {
  if (!lent_.empty()) {
    out.put_behind({const_cast<char*>(lent_.data()), bytes}, room_before(lent_));
    lent_.remove_prefix(bytes);
    return;
  }
  out.put_behind({bytes_.data() + from_, bytes}, from_);
  from_ += bytes;
  if (!empty()) return;
  from_ = 0;
  give_back(bytes_);
}

}  // namespace latchkey::edge
