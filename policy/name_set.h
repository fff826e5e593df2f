#pragma once
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace latchkey {

// A set of names that only grows, for very many of them: one buffer of text and a table of offsets
// into it. A name costs its length + 1 + 5 to 10 bytes. Keyed hashing, so that who chooses the
// names cannot choose collisions.
class NameSet {
 public:
  NameSet();

  // `name` has 1 to 255 bytes. False when it is in already, or when the set is full (4 GiB).
  bool insert(std::string_view name);
  bool contains(std::string_view name) const;
  size_t size() const { return size_; }
  // Gives back the room for growth.
  void shrink() { text_.shrink_to_fit(); }
  size_t bytes() const { return text_.capacity() + table_.capacity() * sizeof(uint32_t); }

 private:
  // The slot of `name`, or the empty one where it belongs.
  size_t slot_of(std::string_view name) const;
  std::string_view at(uint32_t offset) const;
  void grow();

  std::array<uint64_t, 2> key_;  // of the hash
  std::string text_;             // length byte + name, one after the other; byte 0 is unused
  std::vector<uint32_t> table_;  // offsets into text_, 0: empty; a power of two, <= 4/5 full
  size_t size_ = 0;
};

}  // namespace latchkey
