#include "edge/http/header_list.h"

#include <algorithm>

namespace latchkey::edge {
namespace {

constexpr size_t kFirst = 512;  // bytes allocated at once: enough for most messages

}  // namespace

std::string_view trim(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t");
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

void HeaderList::add(std::string_view name, std::string_view value) {
  const size_t at = text_.size();
  const size_t needed = at + name.size() + value.size() + kPunctuation;
  std::string old;  // keeps the bytes alive should name or value be views into ourselves
  if (needed > text_.capacity() || text_.capacity() < kFirst) {
    std::string grown;
    grown.reserve(needed < kFirst ? kFirst : needed * 2);
    grown.append(text_);
    old = std::move(text_);
    text_ = std::move(grown);
  }
  text_.resize(needed);
  char* to =
      std::transform(name.begin(), name.end(), text_.data() + at, [](char c) { return lower(c); });
  *to++ = ':';
  *to++ = ' ';
  to = std::copy(value.begin(), value.end(), to);
  *to++ = '\r';
  *to = '\n';
  if (slots_.capacity() == 0) slots_.reserve(16);
  slots_.push_back({static_cast<uint32_t>(at), static_cast<uint32_t>(name.size()),
                    static_cast<uint32_t>(value.size())});
}

void HeaderList::set(std::string_view name, std::string_view value) {
  remove(name);
  add(name, value);
}

void HeaderList::remove(std::string_view name) {
  remove_if([&](const Field& field) { return same_text(field.name, name); });
}

std::string_view HeaderList::get(std::string_view name) const {
  for (const Slot& slot : slots_) {
    if (slot.name_size == name.size() && field(slot).name == name) return field(slot).value;
  }
  return {};
}

size_t HeaderList::count(std::string_view name) const {
  size_t found = 0;
  for (const Slot& slot : slots_) {
    if (slot.name_size == name.size() && field(slot).name == name) ++found;
  }
  return found;
}

bool HeaderList::has_token(std::string_view name, std::string_view token) const {
  bool found = false;
  for (const Slot& slot : slots_) {
    if (field(slot).name != name) continue;
    for_each_token(field(slot).value,
                   [&](std::string_view t) { found = found || same_text(t, token); });
  }
  return found;
}

}  // namespace latchkey::edge
