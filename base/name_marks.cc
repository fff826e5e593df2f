#include "base/name_marks.h"

#include <algorithm>
#include <bit>
#include <span>
#include <utility>

#include "base/check.h"

namespace latchkey {
namespace {

constexpr size_t kFirstSize = 4096;
constexpr int64_t kLatest = (int64_t{1} << 48) - 1;

uint64_t millis(TimePoint at) {
  return static_cast<uint64_t>(std::clamp<int64_t>(at.time_since_epoch().count(), 0, kLatest));
}

}  // namespace

NameMarks::Marks NameMarks::allocate(size_t size) {
  Marks marks(static_cast<Mark*>(std::calloc(size, sizeof(Mark))));
  CHECK(marks != nullptr);
  return marks;
}

NameMarks::NameMarks(size_t capacity) : capacity_(std::bit_ceil(std::max(capacity, kWays))) {
  clear();
}

void NameMarks::grow() {
  const size_t old_size = std::exchange(size_, size_ * 2);
  const auto old = std::exchange(marks_, allocate(size_));
  for (const Mark& mark : std::span(old.get(), old_size)) {
    if (mark.hash == 0) continue;
    Mark* at = bucket_of(mark.hash);  // half of its old bucket, so there is room
    while (at->hash != 0) ++at;
    *at = mark;
  }
}

void NameMarks::clear() {
  size_ = std::min(capacity_, kFirstSize);
  // Fresh pages from the system, rather than writing zeros to all of the old ones.
  marks_.reset();
  marks_ = allocate(size_);
}

uint64_t NameMarks::hash_of(const ServerName& name) const {
  return std::max<uint64_t>(1, SipHash(key_)(name.text()));
}

NameMarks::Mark* NameMarks::mark_of(uint64_t hash) const {
  Mark* const bucket = bucket_of(hash);
  Mark* const found =
      std::find_if(bucket, bucket + kWays, [hash](const Mark& mark) { return mark.hash == hash; });
  return found == bucket + kWays ? nullptr : found;
}

void NameMarks::set(const ServerName& name, uint16_t code, TimePoint until) {
  const uint64_t hash = hash_of(name);
  Mark* mark = mark_of(hash);
  if (mark == nullptr) {
    Mark* const bucket = bucket_of(hash);  // free ones end before all others
    mark = std::min_element(bucket, bucket + kWays,
                            [](const Mark& a, const Mark& b) { return a.until < b.until; });
    if (mark->hash != 0 && size_ < capacity_) {
      grow();
      return set(name, code, until);
    }
  }
  mark->hash = hash;
  mark->until = millis(until) & kLatest;
  mark->code = code;
}

std::optional<NameMarks::Fact> NameMarks::look(const ServerName& name, TimePoint now) const {
  const Mark* const mark = mark_of(hash_of(name));
  if (mark == nullptr) return std::nullopt;
  const TimePoint until(Millis(static_cast<int64_t>(mark->until)));
  if (now >= until) return std::nullopt;
  return Fact{static_cast<uint16_t>(mark->code), until};
}

std::optional<uint16_t> NameMarks::find(const ServerName& name, TimePoint now) const {
  const auto fact = look(name, now);
  return fact ? std::optional(fact->code) : std::nullopt;
}

void NameMarks::erase(const ServerName& name) {
  if (Mark* const mark = mark_of(hash_of(name))) *mark = {};
}

}  // namespace latchkey
