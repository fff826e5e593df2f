#include "cache/group_commit.h"

#include <algorithm>
#include <utility>

#include "base/fault_point.h"

namespace latchkey {

GroupCommit::GroupCommit(JobThread& writer, sqlite::Connection& connection, Mailbox::Address home)
    : writer_(writer), connection_(connection), home_(std::move(home)) {}

GroupCommit::~GroupCommit() {
  flush();
}

void GroupCommit::flush() {
  while (!gathered_.empty()) hand_over();
}

void GroupCommit::gather(std::unique_ptr<Put> put) {
  gathered_.push_back(std::move(put));
  if (in_writing_ == 0) call();
}

// At the end of the turn: a commit of all that it brings takes no longer than one of the first.
void GroupCommit::call() {
  if (std::exchange(called_, true)) return;
  home_.post([self = std::weak_ptr(self_)] {
    const auto us = self.lock();
    if (us == nullptr) return;
    (*us)->called_ = false;
    if ((*us)->in_writing_ == 0 && !(*us)->gathered_.empty()) (*us)->hand_over();
  });
}

void GroupCommit::hand_over() {
  const auto count = static_cast<std::ptrdiff_t>(std::min(gathered_.size(), kMaxPuts));
  const auto end = gathered_.begin() + count;
  const auto puts = std::make_shared<const Puts>(std::make_move_iterator(gathered_.begin()),
                                                 std::make_move_iterator(end));
  gathered_.erase(gathered_.begin(), end);
  ++in_writing_;
  ++transactions_;
  writer_.push([puts, &connection = connection_, home = home_, self = std::weak_ptr(self_)] {
    if (const auto done = write_all(connection, *puts); !done) {
      for (const auto& put : *puts) put->fail(done.error());
    }
    home.post([puts, self] {
      if (const auto us = self.lock()) (*us)->written(*puts);
    });
  });
}

Result<> GroupCommit::write_all(sqlite::Connection& connection, const Puts& puts) {
  sqlite::Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return begun;
  for (const auto& put : puts) {
    if (auto done = put->write(connection); !done) return done;
  }
  fault_point("group.written");
  auto committed = transaction.commit();
  fault_point("group.committed");
  return committed;
}

void GroupCommit::written(const Puts& puts) {
  --in_writing_;
  // First, so that the disk works while we tell.
  if (in_writing_ == 0 && !gathered_.empty()) hand_over();
  for (const auto& put : puts) put->tell();  // the last of them may end us
  fault_point("group.told");
}

}  // namespace latchkey
