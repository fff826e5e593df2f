#pragma once
#include <string>
#include <vector>

#include "base/task.h"
#include "cache/slot.h"
#include "cache/store.h"

namespace latchkey::edge {

// All that a store has certificates for, a page at a time, by name. What comes or goes meanwhile
// may be in it or not.
class SlotPages {
 public:
  explicit SlotPages(Store& store, size_t limit = 100) : store_(store), limit_(limit) {}  // >= 3

  // Empty: that was all. After an error the same page is tried again.
  Task<std::vector<SlotName>> next();

 private:
  Store& store_;
  const size_t limit_;
  std::string after_;
  bool over_ = false;
};

}  // namespace latchkey::edge
