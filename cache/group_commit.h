#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/job_thread.h"
#include "base/mailbox.h"
#include "base/pending.h"
#include "base/task.h"
#include "cache/sqlite.h"

namespace latchkey {

// Small writes that share transactions: those of one turn of the loop, and those that come while a
// transaction is being written, are the next one. So each is on disk before it is reported
// (synchronous=FULL), and thousands a second are. They take effect in the order in which they were
// started; one that was started is written also when its task is dropped. Used on the home thread.
class GroupCommit {
 public:
  // A write. kInvalid: it was refused and has written nothing, which is no matter of its
  // neighbours. Every other error undoes the transaction, and each write in it fails with it.
  template <typename T>
  using Job = std::function<Result<T>(sqlite::Connection&)>;

  // `connection` is used on `writer` only. All outlive us.
  GroupCommit(JobThread& writer, sqlite::Connection& connection, Mailbox::Address home);
  // Hands over what has gathered.
  ~GroupCommit();
  GroupCommit(const GroupCommit&) = delete;

  // `job` must own what it uses.
  template <typename T>
  Task<T> write(Job<T> job) {
    auto answer = std::make_shared<Pending<T>>();
    auto put = std::make_unique<PutOf<T>>();
    put->job = std::move(job);
    put->waiting = answer;
    gather(std::move(put));
    Pending<T>& waiter = *answer;  // named: g++ 12 would copy `*answer`
    Result<T> result = co_await waiter;
    co_return result;
  }

  // Hands over what has gathered: it is written before what `writer` is given from now on.
  void flush();

  // For tests: transactions that were handed over.
  size_t transactions() const { return transactions_; }
  static constexpr size_t kMaxPuts = 2000;  // in a transaction (50 ms)

 private:
  struct Put {
    virtual ~Put() = default;
    virtual Result<> write(sqlite::Connection& connection) = 0;  // an error fails the transaction
    virtual void fail(const Error& error) = 0;
    virtual void tell() = 0;  // on the home thread
  };
  template <typename T>
  struct PutOf final : Put {
    Job<T> job;
    std::weak_ptr<Pending<T>> waiting;
    std::optional<Result<T>> result;

    Result<> write(sqlite::Connection& connection) override {
      result.emplace(job(connection));
      if (*result || result->error().code == ErrorCode::kInvalid) return Unit{};
      return result->error();
    }
    void fail(const Error& error) override { result.emplace(error); }
    void tell() override {
      if (const auto to = waiting.lock()) to->resolve(*std::move(result));
    }
  };
  using Puts = std::vector<std::unique_ptr<Put>>;

  static Result<> write_all(sqlite::Connection& connection, const Puts& puts);
  void gather(std::unique_ptr<Put> put);
  void call();
  void hand_over();
  void written(const Puts& puts);

  JobThread& writer_;
  sqlite::Connection& connection_;
  const Mailbox::Address home_;
  std::deque<std::unique_ptr<Put>> gathered_;  // bounded by the callers' requests in progress
  bool called_ = false;                        // a letter is under way that hands over
  size_t in_writing_ = 0;                      // transactions
  size_t transactions_ = 0;
  // Letters have weak pointers to it: when we are gone they say nothing.
  const std::shared_ptr<GroupCommit*> self_ = std::make_shared<GroupCommit*>(this);
};

}  // namespace latchkey
