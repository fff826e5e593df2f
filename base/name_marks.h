#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "base/server_name.h"
#include "base/sip_hash.h"

namespace latchkey {

// Remembers small facts about very many names for a while, in a table of fixed size: 16 bytes a
// name, whoever chooses the names. Where a bucket is full, the mark that would end first makes
// room, so a mark may be forgotten early but never lasts longer. Names are kept as 64-bit keyed
// hashes: two names share one with a probability of 2^-64 a pair. O(1). One thread.
class NameMarks {
 public:
  struct Fact {
    uint16_t code;    // the caller's small fact
    TimePoint until;  // exclusive
  };

  // Rounded up to a power of two, at least 8. The memory is taken whole and at once: a flood of
  // names changes nothing about it.
  explicit NameMarks(size_t capacity);

  // Replaces the name's earlier mark.
  void set(const ServerName& name, uint16_t code, TimePoint until);
  std::optional<uint16_t> find(const ServerName& name, TimePoint now) const;
  // The same, and when it ends.
  std::optional<Fact> look(const ServerName& name, TimePoint now) const;
  void erase(const ServerName& name);
  void clear();

  size_t capacity() const { return marks_.size(); }

 private:
  struct Mark {
    uint64_t hash;        // 0: free
    uint64_t until : 48;  // milliseconds of the clock; 0: free
    uint64_t code : 16;
  };
  static_assert(sizeof(Mark) == 16);

  static constexpr size_t kWays = 8;  // marks a bucket: two cache lines
  uint64_t hash_of(const ServerName& name) const;
  size_t bucket_of(uint64_t hash) const {
    return hash & (marks_.size() - kWays);
  }                                          // its first mark
  const Mark* mark_of(uint64_t hash) const;  // null: none

  const SipHash::Key key_ = SipHash::random_key();
  std::vector<Mark> marks_;
};

}  // namespace latchkey
