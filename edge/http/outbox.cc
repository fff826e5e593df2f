#include "edge/http/outbox.h"

#include <cstring>

namespace latchkey::edge {

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

void Outbox::release() {
  if (!empty()) return;
  from_ = 0;
  give_back(bytes_);
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

void Outbox::put_behind(std::span<char> bytes, size_t room) {
  const size_t ahead = size();
  if (broken_ || blocked() || ahead > room || ahead + bytes.size() <= kGather) {
    return put({bytes.data(), bytes.size()});
  }
  char* const begin = bytes.data() - ahead;
  std::memcpy(begin, bytes_.data() + from_, ahead);
  bytes_.clear();
  from_ = 0;
  std::string_view all(begin, ahead + bytes.size());
  all.remove_prefix(write(all));
  bytes_.append(all);
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
