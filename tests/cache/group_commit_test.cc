#include "cache/group_commit.h"

#include <algorithm>
#include <deque>

#include "tests/cache/store_fixture.h"
#include "tests/support/faulty_vfs.h"

namespace latchkey {
namespace {

using test::FaultyVfs;
using testing::HasSubstr;

class GroupCommitTest : public testing::Test {
 protected:
  GroupCommitTest() {
    connection_ = *sqlite::Connection::open(folder_ / "db", FaultyVfs::name());
    EXPECT_TRUE(connection_->execute("CREATE TABLE t (n INTEGER)").has_value());
    writer_ = std::make_unique<JobThread>(loop_.address());
    group_ = std::make_unique<GroupCommit>(*writer_, *connection_, loop_.address());
  }
  ~GroupCommitTest() override {
    group_.reset();
    writer_.reset();
  }

  static Result<int64_t> insert(sqlite::Connection& connection, int64_t n) {
    sqlite::Query query = connection.query("INSERT INTO t VALUES (?)");
    if (auto done = query.bind(n).run(); !done) return std::move(done).error();
    return n;
  }
  Task<int64_t>& start(int64_t n) {
    return start_job([n](sqlite::Connection& connection) { return insert(connection, n); });
  }
  Task<int64_t>& start_job(GroupCommit::Job<int64_t> job) {
    tasks_.push_back(group_->write<int64_t>(std::move(job)));
    tasks_.back().start();
    return tasks_.back();
  }
  void finish() {
    const auto ended = [](const Task<int64_t>& one) { return one.done(); };
    loop_.run_until([&] { return std::all_of(tasks_.begin(), tasks_.end(), ended); });
  }
  // As another process sees them.
  std::vector<int64_t> stored() {
    auto other = *sqlite::Connection::open(folder_ / "db");
    sqlite::Query query = other->query("SELECT n FROM t ORDER BY rowid");
    std::vector<int64_t> found;
    while (*query.next()) found.push_back(query.integer(0));
    return found;
  }
  static Task<> put_twice_and_end_all(GroupCommitTest& test) {
    const GroupCommit::Job<int64_t> first = [](sqlite::Connection& c) { return insert(c, 100); };
    co_await test.group_->write<int64_t>(first);
    test.tasks_.clear();
    const GroupCommit::Job<int64_t> second = [](sqlite::Connection& c) { return insert(c, 101); };
    co_await test.group_->write<int64_t>(second);
    test.group_.reset();
    co_return Unit{};
  }
  // Nothing is written until then.
  struct Held {
    std::mutex mutex;
    std::unique_lock<std::mutex> lock{mutex};
  };
  std::unique_ptr<Held> hold() {
    auto held = std::make_unique<Held>();
    writer_->push([&mutex = held->mutex] { const std::lock_guard wait(mutex); });
    return held;
  }

  FaultyVfs faults_;
  test::TempFolder folder_;
  Loop loop_;
  std::unique_ptr<sqlite::Connection> connection_;
  std::unique_ptr<JobThread> writer_;
  std::unique_ptr<GroupCommit> group_;
  std::deque<Task<int64_t>> tasks_;
};

TEST_F(GroupCommitTest, PutsOfATurnShareATransaction) {
  for (int n = 0; n < 500; ++n) start(n);
  finish();
  EXPECT_EQ(group_->transactions(), 1u);
  const std::vector<int64_t> found = stored();
  ASSERT_EQ(found.size(), 500u);
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end())) << "in the order of the calls";
  for (size_t i = 0; i < tasks_.size(); ++i) {
    EXPECT_EQ(*tasks_[i].outcome(), static_cast<int64_t>(i)) << "each has its own result";
  }
  start(500);
  finish();
  EXPECT_EQ(group_->transactions(), 2u) << "nobody waits for neighbours";
}

TEST_F(GroupCommitTest, PutsThatComeWhileOneIsWrittenShareTheNextTransaction) {
  const auto held = hold();
  start(0);
  loop_.run_until([&] { return group_->transactions() != 0; });
  for (int n = 1; n < 500; ++n) {
    start(n);
    if (n % 50 == 0) uv_run(&loop_.uv(), UV_RUN_NOWAIT);
  }
  held->lock.unlock();
  finish();
  EXPECT_EQ(group_->transactions(), 2u);
  const std::vector<int64_t> found = stored();
  EXPECT_EQ(found.size(), 500u);
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
}

TEST_F(GroupCommitTest, ATransactionIsBounded) {
  for (size_t n = 0; n < 2 * GroupCommit::kMaxPuts + 2; ++n) start(static_cast<int64_t>(n));
  finish();
  EXPECT_EQ(group_->transactions(), 3u);
  const std::vector<int64_t> found = stored();
  EXPECT_EQ(found.size(), 2 * GroupCommit::kMaxPuts + 2);
  EXPECT_TRUE(std::is_sorted(found.begin(), found.end()));
}

TEST_F(GroupCommitTest, OneThatIsRefusedIsNoMatterOfItsNeighbours) {
  start(0);
  for (int n = 1; n < 10; ++n) {
    start_job([n](sqlite::Connection& connection) -> Result<int64_t> {
      if (n == 5) return Error{ErrorCode::kInvalid, "five"};
      return insert(connection, n);
    });
  }
  finish();
  EXPECT_EQ(group_->transactions(), 1u);
  EXPECT_EQ(stored(), (std::vector<int64_t>{0, 1, 2, 3, 4, 6, 7, 8, 9}));
  for (int n = 0; n < 10; ++n) {
    EXPECT_EQ(tasks_[static_cast<size_t>(n)].outcome().has_value(), n != 5);
  }
  EXPECT_EQ(tasks_[5].outcome().error().message, "five");
}

TEST_F(GroupCommitTest, AnErrorOfTheDatabaseFailsTheWholeTransactionAndTheNextIsFine) {
  start(0);
  finish();
  start(1);
  start_job([](sqlite::Connection& connection) -> Result<int64_t> {
    auto query = connection.query("INSERT INTO missing VALUES (1)");
    return query.run().error();
  });
  start(2);
  finish();
  EXPECT_TRUE(tasks_[0].outcome().has_value());
  for (const size_t n : {1u, 2u, 3u}) {
    ASSERT_FALSE(tasks_[n].outcome().has_value());
    EXPECT_THAT(tasks_[n].outcome().error().message, HasSubstr("no such table"));
  }
  EXPECT_EQ(stored(), std::vector<int64_t>{0});
  start(3);
  finish();
  EXPECT_EQ(stored(), (std::vector<int64_t>{0, 3}));
}

TEST_F(GroupCommitTest, ACommitThatFailsFailsEachOfItsPuts) {
  for (const FaultyVfs::Fault fault :
       {FaultyVfs::Fault::kDiskFull, FaultyVfs::Fault::kWriteError, FaultyVfs::Fault::kSyncError}) {
    tasks_.clear();
    faults_.set(fault);
    for (int n = 0; n < 10; ++n) start(n);
    finish();
    for (Task<int64_t>& one : tasks_) {
      ASSERT_FALSE(one.outcome().has_value());
      EXPECT_EQ(one.outcome().error().code, ErrorCode::kIo);
    }
    faults_.set(FaultyVfs::Fault::kNone);
    EXPECT_EQ(stored().size(), 0u);
  }
  start(1);
  finish();
  EXPECT_EQ(stored(), std::vector<int64_t>{1});
}

TEST_F(GroupCommitTest, WhatWasStartedIsWrittenThoughNobodyWaitsForIt) {
  for (int n = 0; n < 10; ++n) start(n);
  tasks_.clear();
  group_.reset();
  writer_.reset();
  EXPECT_EQ(stored().size(), 10u);
  uv_run(&loop_.uv(), UV_RUN_NOWAIT);  // letters to who has gone
}

TEST_F(GroupCommitTest, WhatTheWriterIsGivenAfterAFlushComesAfter) {
  const auto held = hold();
  for (int n = 0; n < 5; ++n) start(n);
  group_->flush();
  size_t seen = 0;
  Task<> other = writer_->run<Unit>([this, &seen]() -> Result<> {
    seen = stored().size();
    return Unit{};
  });
  other.start();
  for (int n = 5; n < 9; ++n) start(n);
  held->lock.unlock();
  finish();
  EXPECT_TRUE(other.done());
  EXPECT_EQ(seen, 5u);
  EXPECT_EQ(group_->transactions(), 2u);
}

// Whoever is told may start another put, drop one that is about to be told, or end it all.
TEST_F(GroupCommitTest, TheToldMayDoAsTheyLike) {
  const auto held = hold();
  Task<> flow = put_twice_and_end_all(*this);
  start(1);
  flow.start();
  start(2);
  start(3);
  held->lock.unlock();
  loop_.run_until([&] { return flow.done(); });
  EXPECT_TRUE(flow.outcome().has_value());
  EXPECT_EQ(group_, nullptr);
  EXPECT_EQ(stored(), (std::vector<int64_t>{1, 100, 2, 3, 101}));
}

}  // namespace
}  // namespace latchkey
