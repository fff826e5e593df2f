#include "edge/http/outbox.h"

namespace latchkey::edge {
namespace {

// The one that a connection has given back last serves this thread's next one.
thread_local std::string spare;

}  // namespace

size_t Outbox::write(std::string_view bytes) {
  size_t written = 0;
  blocked_ = false;
  while (written < bytes.size() && !broken_) {
    const auto moved = transport_.write(bytes.substr(written));
    if (moved.io == Transport::Io::kDone) {
      written += moved.bytes;
      continue;
    }
    blocked_ = moved.io == Transport::Io::kAgain;
    broken_ = !blocked_;
    break;
  }
  return written;
}

void Outbox::take_spare() {
  if (bytes_.empty()) bytes_.swap(spare);
}

void Outbox::release() {
  if (!empty()) return;
  bytes_.clear();
  from_ = 0;
  if (bytes_.capacity() <= 2 * kGather && bytes_.capacity() > spare.capacity()) {
    bytes_.swap(spare);
  }
  std::string().swap(bytes_);
}

void Outbox::put(std::string_view bytes) {
  if (broken_) return;
  if (size() + bytes.size() <= kGather || blocked()) {
    bytes_.append(bytes);
    return;
  }
  flush();
  if (empty()) bytes.remove_prefix(write(bytes));
  bytes_.append(bytes);
}

void Outbox::flush() {
  from_ += write(std::string_view(bytes_).substr(from_));
  if (from_ == bytes_.size() || broken_) {
    bytes_.clear();
    from_ = 0;
  } else if (from_ >= kFull) {
    bytes_.erase(0, from_);
    from_ = 0;
  }
}

}  // namespace latchkey::edge
