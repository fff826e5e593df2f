#pragma once
#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace latchkey::edge {

// A worker's one buffer for what sockets say: BoringSSL asks for the five bytes of a record's
// header, then for the rest; here one recv brings all there is. One connection at a time has bytes
// in it; what it has not taken when another one reads goes to a string of its own. Worker thread.
class ReadAhead {
 public:
  class Owner {
   public:
    // Its bytes, which go from here now.
    virtual void keep_read(std::string_view bytes) = 0;

   protected:
    ~Owner() = default;
  };

  ReadAhead() = default;
  ReadAhead(const ReadAhead&) = delete;

  // Room to read into, for `owner`. REQUIRES: none of its bytes are here.
  char* room(Owner& owner) {
    if (size_ > from_) owner_->keep_read(std::string_view(bytes_.data() + from_, size_ - from_));
    owner_ = &owner;
    from_ = size_ = 0;
    return bytes_.data();
  }
  void filled(size_t size) { size_ = size; }
  // Up to `limit` bytes of its own, which are its no more.
  std::string_view take(const Owner& owner, size_t limit) {
    const size_t size = std::min(left_for(owner), limit);
    const std::string_view out(bytes_.data() + from_, size);
    if (size != 0) from_ += size;
    return out;
  }
  size_t left_for(const Owner& owner) const { return owner_ == &owner ? size_ - from_ : 0; }
  void forget(const Owner& owner) {
    if (owner_ != &owner) return;
    owner_ = nullptr;
    from_ = size_ = 0;
  }

  // Two records of full size and the greater part of a third.
  static constexpr size_t kCapacity = 48 << 10;

 private:
  std::vector<char> bytes_ = std::vector<char>(kCapacity);
  size_t from_ = 0, size_ = 0;
  Owner* owner_ = nullptr;
};

}  // namespace latchkey::edge
