#include "policy/name_set.h"

#include <bit>
#include <cstring>
#include <random>

namespace latchkey {
namespace {

// SipHash-1-3 (Aumasson, Bernstein).
class SipHash {
 public:
  explicit SipHash(const std::array<uint64_t, 2>& key)
      : a_(key[0] ^ 0x736f6d6570736575),
        b_(key[1] ^ 0x646f72616e646f6d),
        c_(key[0] ^ 0x6c7967656e657261),
        d_(key[1] ^ 0x7465646279746573) {}

  uint64_t operator()(std::string_view text) {
    const uint64_t length = text.size();
    for (; text.size() >= 8; text.remove_prefix(8)) absorb(word(text.substr(0, 8)));
    absorb(word(text) | length << 56);
    c_ ^= 0xff;
    for (int i = 0; i < 3; ++i) round();
    return a_ ^ b_ ^ c_ ^ d_;
  }

 private:
  static uint64_t word(std::string_view bytes) {
    uint64_t value = 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }
  void absorb(uint64_t word) {
    d_ ^= word;
    round();
    a_ ^= word;
  }
  void round() {
    a_ += b_;
    c_ += d_;
    b_ = std::rotl(b_, 13) ^ a_;
    d_ = std::rotl(d_, 16) ^ c_;
    a_ = std::rotl(a_, 32);
    a_ += d_;
    c_ += b_;
    d_ = std::rotl(d_, 21) ^ a_;
    b_ = std::rotl(b_, 17) ^ c_;
    c_ = std::rotl(c_, 32);
  }

  uint64_t a_, b_, c_, d_;
};

}  // namespace

NameSet::NameSet() : text_(1, '\0'), table_(16) {
  std::random_device random;
  for (uint64_t& half : key_) half = uint64_t{random()} << 32 | random();
}

std::string_view NameSet::at(uint32_t offset) const {
  return std::string_view(text_).substr(offset + 1, static_cast<unsigned char>(text_[offset]));
}

size_t NameSet::slot_of(std::string_view name) const {
  const size_t mask = table_.size() - 1;
  size_t slot = SipHash(key_)(name) & mask;
  while (table_[slot] != 0 && at(table_[slot]) != name) slot = (slot + 1) & mask;
  return slot;
}

bool NameSet::contains(std::string_view name) const {
  return size_ > 0 && table_[slot_of(name)] != 0;
}

bool NameSet::insert(std::string_view name) {
  if (name.empty() || name.size() > 255 || text_.size() + name.size() >= UINT32_MAX) return false;
  if ((size_ + 1) * 5 > table_.size() * 4) grow();
  const size_t slot = slot_of(name);
  if (table_[slot] != 0) return false;
  table_[slot] = static_cast<uint32_t>(text_.size());
  text_.push_back(static_cast<char>(name.size()));
  text_.append(name);
  ++size_;
  return true;
}

void NameSet::grow() {
  std::vector<uint32_t> old(table_.size() * 2);
  old.swap(table_);
  for (const uint32_t offset : old) {
    if (offset != 0) table_[slot_of(at(offset))] = offset;
  }
}

}  // namespace latchkey
