#pragma once
// Inside of SqliteStore: its threads and connections.

#include <array>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/job_thread.h"
#include "base/log.h"
#include "cache/group_commit.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/sqlite_orders.h"
#include "cache/sqlite_renewals.h"
#include "cache/sqlite_store.h"
#include "cache/sqlite_sweep.h"

namespace latchkey {

struct SqliteStore::Impl {
  static constexpr size_t kReaders = 2;
  using Connection = sqlite::Connection;

  Impl(Mailbox::Address home_in, Log& log_in, SecretBox box_in, std::unique_ptr<Connection> writer,
       std::array<std::unique_ptr<Connection>, kReaders> readers)
      : home(std::move(home_in)),
        log(log_in),
        box(std::move(box_in)),
        write_connection(std::move(writer)),
        read_connections(std::move(readers)),
        write_thread(home),
        read_threads{JobThread(home), JobThread(home)} {}

  // The job runs with the connection of the thread that it is given to.
  template <typename T, typename Job>
  Task<T> write(Job job) {
    std::function<Result<T>()> bound = [this, job = std::move(job)] {
      return job(*write_connection);
    };
    return write_thread.run<T>(std::move(bound));
  }
  template <typename T, typename Job>
  Task<T> read(Job job) {
    const size_t which = next_reader++ % kReaders;
    std::function<Result<T>()> bound = [this, which, job = std::move(job)] {
      return job(*read_connections[which]);
    };
    return read_threads[which].run<T>(std::move(bound));
  }

  // Report what cannot be used and take it away.
  Task<> set_aside(sqlite::BadRow bad);
  Task<> set_aside(std::vector<sqlite::BadOrder> bad);
  std::unique_ptr<AuthorityStore> make_authorities();

  const Mailbox::Address home;
  Log& log;
  const SecretBox box;
  // The home thread's. Letters have weak pointers to it: when the store is gone they say nothing.
  struct Listeners {
    uint64_t puts = 0;  // of certificates, done
    Stored stored;
    Quarantined quarantined;
  };
  const std::shared_ptr<Listeners> listeners = std::make_shared<Listeners>();
  sqlite::SweepPlace certificates_place;  // used by write_thread only
  sqlite::SweepPlace verdicts_place;      // the same
  sqlite::SweepPlace failures_place;      // the same
  bool read_only = false;                 // from the start
  bool resealed = false;                  // the home thread's: reseal() has come to its end
  size_t next_reader = 0;
  const std::unique_ptr<Connection> write_connection;  // used by write_thread only
  const std::array<std::unique_ptr<Connection>, kReaders> read_connections;  // by their threads
  // Last, so that they end first: jobs use what is above. Their queues are bounded by the callers:
  // the gate's flights and the orders in progress.
  JobThread write_thread;
  std::array<JobThread, kReaders> read_threads;
  GroupCommit group{write_thread, *write_connection, home};
  const std::unique_ptr<AuthorityStore> authorities = make_authorities();
};

}  // namespace latchkey
