#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"

namespace latchkey::edge {

// Header fields in their order, names in lower case. All text lies in one string, as HTTP/1.1
// writes it: a message costs two allocations however many fields it has. Views into it live until
// the next add() or set().
class HeaderList {
 public:
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  void add(std::string_view name, std::string_view value);
  void set(std::string_view name, std::string_view value);
  void remove(std::string_view name);
  template <typename Predicate>
  void remove_if(Predicate predicate) {
    std::erase_if(slots_, [&](const Slot& slot) { return predicate(field(slot)); });
  }

  // `name` in lower case. The first such field's value, or "".
  std::string_view get(std::string_view name) const;
  size_t count(std::string_view name) const;
  bool has(std::string_view name) const { return count(name) > 0; }
  // Whether a comma-separated list in the fields of that name contains `token` (any case).
  bool has_token(std::string_view name, std::string_view token) const;

  size_t size() const { return slots_.size(); }
  // Of all lines, those that were removed included.
  size_t bytes() const { return text_.size(); }
  // "name: value\r\n"
  std::string_view line(size_t i) const {
    const Slot& slot = slots_[i];
    return std::string_view(text_).substr(slot.name,
                                          slot.name_size + slot.value_size + kPunctuation);
  }
  bool empty() const { return slots_.empty(); }
  Field operator[](size_t i) const { return field(slots_[i]); }

  class Iterator {
   public:
    Iterator(const HeaderList& list, size_t at) : list_(list), at_(at) {}
    Field operator*() const { return list_[at_]; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return at_ != other.at_; }

   private:
    const HeaderList& list_;
    size_t at_;
  };
  Iterator begin() const { return {*this, 0}; }
  Iterator end() const { return {*this, size()}; }

 private:
  static constexpr size_t kPunctuation = 4;  // of a line
  struct Slot {
    uint32_t name;  // where its line begins in text_
    uint32_t name_size;
    uint32_t value_size;
  };
  Field field(const Slot& slot) const {
    const std::string_view text(text_);
    return {text.substr(slot.name, slot.name_size),
            text.substr(slot.name + slot.name_size + 2, slot.value_size)};
  }

  std::string text_;  // bounded by who parses: 32 KiB of the peer's, a little of ours
  std::vector<Slot> slots_;
};

// Without spaces and tabs at either end.
std::string_view trim(std::string_view text);

// Calls `visit` with each element, trimmed and not empty, of a comma-separated list.
template <typename Visit>
void for_each_token(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const size_t comma = list.find(',');
    const std::string_view token = trim(list.substr(0, comma));
    if (!token.empty()) visit(token);
    if (comma == std::string_view::npos) return;
    list.remove_prefix(comma + 1);
  }
}

}  // namespace latchkey::edge
