#include "policy/name_set.h"

#include "base/sip_hash.h"

namespace latchkey {

NameSet::NameSet() : key_(SipHash::random_key()), text_(1, '\0'), table_(16) {}

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
