#include "base/name_marks.h"

#include <algorithm>
#include <bit>

namespace latchkey {
namespace {

constexpr int64_t kLatest = (int64_t{1} << 48) - 1;

uint64_t millis(TimePoint at) {
  return static_cast<uint64_t>(std::clamp<int64_t>(at.time_since_epoch().count(), 0, kLatest));
}

}  // namespace

NameMarks::NameMarks(size_t capacity) : marks_(std::bit_ceil(std::max(capacity, kWays))) {}

void NameMarks::clear() {
  std::fill(marks_.begin(), marks_.end(), Mark{});
}

uint64_t NameMarks::hash_of(const ServerName& name) const {
  return std::max<uint64_t>(1, SipHash(key_)(name.text()));
}

const NameMarks::Mark* NameMarks::mark_of(uint64_t hash) const {
  const Mark* const bucket = &marks_[bucket_of(hash)];
  const Mark* const found =
      std::find_if(bucket, bucket + kWays, [hash](const Mark& mark) { return mark.hash == hash; });
  return found == bucket + kWays ? nullptr : found;
}

void NameMarks::set(const ServerName& name, uint16_t code, TimePoint until) {
  const uint64_t hash = hash_of(name);
  Mark* const bucket = &marks_[bucket_of(hash)];
  Mark* mark = std::find_if(bucket, bucket + kWays,
                            [hash](const Mark& known) { return known.hash == hash; });
  if (mark == bucket + kWays) {  // free ones end before all others
    mark = std::min_element(bucket, bucket + kWays,
                            [](const Mark& a, const Mark& b) { return a.until < b.until; });
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
  const Mark* const mark = mark_of(hash_of(name));
  if (mark != nullptr) marks_[static_cast<size_t>(mark - marks_.data())] = {};
}

}  // namespace latchkey
