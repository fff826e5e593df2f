#pragma once
#include <cstdint>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/name_marks.h"
#include "base/server_name.h"
#include "cache/lru.h"
#include "cache/store.h"
#include "policy/verdict.h"

namespace latchkey {

// The ask endpoint's answers, for as long as they hold. Yes: an LRU that keeps what stale_until
// allows; no: a table of fixed size (16 bytes a name). The two are bounded apart, so that a flood
// of unwanted names pushes out nobody's yes. Control thread.
class VerdictCache {
 public:
  struct Limits {
    size_t max_allowed = 1'000'000;   // about 400 bytes each, more with a long upstream
    size_t max_bytes = 512ULL << 20;  // of those, roughly
    size_t max_denied = 1 << 17;      // 16 bytes each: two minutes of a thousand a second
  };
  using RecordPtr = std::shared_ptr<const VerdictRecord>;

  explicit VerdictCache(Limits limits);

  // The endpoint has said yes. True when the store's row is to be replaced by `record`: there is
  // to be one (see keep()), and it could not be written, grants something else, or half of its life
  // has passed. It then counts as replaced.
  bool allow(const ServerName& name, VerdictRecord record);
  // The name's yes is to have a row from now on. Not null: this one is to be written, and counts as
  // written.
  RecordPtr keep(const ServerName& name);
  // A yes as the store has it: it is kept.
  void learn(const ServerName& name, VerdictRecord stored);
  // Its row could not be written.
  void not_stored(const ServerName& name);

  // `status`: the HTTP status that said no. Forgets the yes. A mark that has ended already is none.
  void deny(const ServerName& name, uint16_t status, TimePoint until);
  // True when a yes was in memory that is kept: the store may have a row.
  bool forget(const ServerName& name);
  void forget_denial(const ServerName& name) { denied_.erase(name); }
  void forget_denials() { denied_.clear(); }

  // A denial that holds at `now`: its status is the code.
  std::optional<NameMarks::Fact> denied(const ServerName& name, TimePoint now) const {
    return denied_.look(name, now);
  }
  // A yes of any age that is in memory, or null; the caller compares the times. Counts as a use.
  RecordPtr allowed(const ServerName& name) { return allowed_.get(name.text()); }

  size_t size() const { return allowed_.size(); }
  size_t bytes() const { return allowed_.cost(); }  // of the yeses, roughly

 private:
  static constexpr WallTime kNever = WallTime::max();  // not kept: it lives in memory only
  static constexpr WallTime kAtOnce = WallTime::min();
  struct Row {
    WallTime due = kNever;  // when the store's row should be written anew
  };

  void put(const ServerName& name, VerdictRecord record, Row row);

  Lru<VerdictRecord, Row> allowed_;
  NameMarks denied_;
};

}  // namespace latchkey
