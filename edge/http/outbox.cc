#include "edge/http/outbox.h"

#include <utility>
#include <vector>

namespace latchkey::edge {
namespace {

// Those that connections have given back serve this thread's next ones: as many as have something
// to say in one turn of its loop.
constexpr size_t kSpares = 32;
thread_local std::vector<std::string> spares;

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
  if (!bytes_.empty() || spares.empty()) return;
  bytes_ = std::move(spares.back());
  spares.pop_back();
}

void Outbox::release() {
  if (!empty()) return;
  bytes_.clear();
  from_ = 0;
  const size_t room = bytes_.capacity();
  if (room >= kSmall && room <= 2 * kGather && spares.size() < kSpares) {
    spares.push_back(std::move(bytes_));
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
