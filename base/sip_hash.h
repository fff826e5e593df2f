#pragma once
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <random>
#include <string_view>

namespace latchkey {

// SipHash-1-3 (Aumasson, Bernstein): a hash whose collisions nobody can choose who does not know
// the key. One object hashes one text.
class SipHash {
 public:
  using Key = std::array<uint64_t, 2>;

  static Key random_key() {
    std::random_device random;
    Key key;
    for (uint64_t& half : key) half = uint64_t{random()} << 32 | random();
    return key;
  }

  explicit SipHash(const Key& key)
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
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
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

}  // namespace latchkey
