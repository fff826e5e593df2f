#include "policy/verdict_writer.h"

#include <algorithm>
#include <utility>

namespace latchkey {

VerdictWriter::VerdictWriter(size_t max_waiting, Store& store, Log& log, Lost lost)
    : max_waiting_(max_waiting), store_(store), log_(log), lost_(std::move(lost)) {}

VerdictWriter::~VerdictWriter() {
  for (const ServerName& name : undeleted_) waiting_.push_front({name, std::nullopt});
  for (const bool deletes : {true, false}) {
    for (const Change& change : waiting_) {
      if (change.verdict.has_value() == deletes) continue;
      Task<> writing = task_of(change);
      writing.start();  // accepted is as good as done
    }
  }
}

bool VerdictWriter::removing(const ServerName& name) const {
  if (removing_ == name || undeleted_.contains(name)) return true;
  const auto found = index_.find(name.text());
  return found != index_.end() && !found->second->verdict;
}

void VerdictWriter::put(const ServerName& name, VerdictRecord verdict) {
  Change change{name, std::move(verdict)};
  add(std::move(change));
}

void VerdictWriter::remove(const ServerName& name) {
  Change change{name, std::nullopt};
  add(std::move(change));
}

bool VerdictWriter::drop(const ServerName& name) {
  undeleted_.erase(name);
  const auto found = index_.find(name.text());
  if (found == index_.end()) return false;
  forget(found->second);
  return true;
}

void VerdictWriter::add(Change change) {
  if (const auto known = index_.find(change.name.text()); known != index_.end()) {
    known->second->verdict = std::move(change.verdict);
    return;
  }
  if (waiting_.size() >= max_waiting_) {
    // A yes that is not written costs one question after a restart; a no would be forgotten.
    const auto place = change.verdict
                           ? waiting_.end()
                           : std::find_if(waiting_.begin(), waiting_.end(),
                                          [](const Change& c) { return c.verdict.has_value(); });
    const ServerName unwritten = place == waiting_.end() ? change.name : place->name;
    log_.warning("verdict_lost",
                 "verdicts come faster than the store takes them: one was not written",
                 {{"domain", unwritten.text()}, {"waiting", waiting_.size()}});
    if (place != waiting_.end()) forget(place);
    lost_(unwritten);
    if (waiting_.size() >= max_waiting_) return;
  }
  undeleted_.erase(change.name);
  waiting_.push_back(std::move(change));
  index_.emplace(waiting_.back().name.text(), std::prev(waiting_.end()));
  if (!writing_) tasks_.spawn(write());
}

void VerdictWriter::forget(Changes::iterator change) {
  index_.erase(change->name.text());
  waiting_.erase(change);
}

Task<> VerdictWriter::task_of(const Change& change) {
  return change.verdict ? store_.put_verdict(change.name, *change.verdict)
                        : store_.delete_verdict(change.name);
}

Task<> VerdictWriter::write() {
  writing_ = true;
  while (!waiting_.empty()) {
    Changes one;
    index_.erase(waiting_.front().name.text());
    one.splice(one.begin(), waiting_, waiting_.begin());
    Change& change = one.front();
    if (!change.verdict) removing_ = change.name;
    Task<> writing = task_of(change);
    const Result<> written = co_await std::move(writing).result();
    removing_.reset();
    report(written, change);
  }
  writing_ = false;
  co_return Unit{};
}

void VerdictWriter::report(const Result<>& written, const Change& change) {
  if (written) {
    failing_ = false;
    retry_a_delete();
    return;
  }
  const bool superseded = index_.find(change.name.text()) != index_.end();
  if (!change.verdict && !superseded && undeleted_.size() < max_waiting_) {
    undeleted_.insert(change.name);
  }
  if (!std::exchange(failing_, true)) {
    log_.error("verdict_not_stored",
               written.error().message + ": verdicts are kept in memory only until this works",
               {{"domain", change.name.text()}});
  }
  lost_(change.name);
}

void VerdictWriter::retry_a_delete() {
  if (undeleted_.empty() || waiting_.size() >= max_waiting_) return;
  const ServerName name = *undeleted_.begin();
  remove(name);
}

}  // namespace latchkey
