#include "cache/sqlite_store.h"

#include <openssl/rand.h>
#include <sys/statvfs.h>

#include <array>
#include <cerrno>
#include <functional>

#include "base/file.h"
#include "base/job_thread.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/sqlite_accounts.h"
#include "cache/sqlite_certificates.h"
#include "cache/sqlite_names.h"
#include "cache/sqlite_schema.h"
#include "cache/sqlite_sweep.h"

namespace latchkey {
namespace {

namespace fs = std::filesystem;
using sqlite::Connection;
using sqlite::Query;
using namespace std::string_view_literals;

constexpr int kSweepPieces = 50;                // of each table, in one sweep
constexpr uint64_t kLeastFreeSpace = 16 << 20;  // bytes: a full write-ahead log
// What tells our key file from another: a known text, sealed when the database was made.
constexpr std::string_view kKeyCheck = "latchkey";
constexpr std::string_view kKeyCheckContext = "meta\0key_check"sv;

Result<std::optional<std::string>> find_meta(Connection& connection, std::string_view key) {
  Query query = connection.query("SELECT value FROM meta WHERE key = ?");
  auto row = query.bind(key).next();
  if (!row) return std::move(row).error();
  if (!*row) return std::optional<std::string>();
  return std::optional<std::string>(query.text(0));
}

Result<> put_meta(Connection& connection, std::string_view key, std::string_view value) {
  Query query = connection.query(
      "INSERT INTO meta (key, value) VALUES (?, ?) "
      "ON CONFLICT (key) DO UPDATE SET value = excluded.value");
  return query.bind(key).bind_blob(value).run();
}

Result<SecretBox> open_box(Connection& connection, const fs::path& file, Log& log) {
  const auto check = find_meta(connection, "key_check");
  if (!check) return check.error();
  auto box = SecretBox::from_file(file);
  if (!*check) {  // nothing was ever sealed here
    if (!box && box.error().code == ErrorCode::kNotFound) box = SecretBox::make(file, log);
    if (!box) return box;
    auto put = put_meta(connection, "key_check", box->seal(kKeyCheck, kKeyCheckContext));
    if (!put) return std::move(put).error();
    return box;
  }
  const std::string remedy =
      "put the file back from your backup, or move the database away to start anew "
      "(certificates are then obtained again)";
  const std::string needs = "the database " + connection.file().string() + " is sealed with key " +
                            SecretBox::key_id_of(**check);
  if (!box && box.error().code == ErrorCode::kNotFound) {
    return Error{ErrorCode::kInvalid, "the encryption key file " + file.string() +
                                          " is lost, and " + needs + ": " + remedy};
  }
  if (!box) return box;
  if (auto opened = box->open(**check, kKeyCheckContext); !opened) {
    return Error{ErrorCode::kInvalid, "the encryption key file " + file.string() +
                                          " is not the right one: " + needs + " (" +
                                          opened.error().message + "): " + remedy};
  }
  if (SecretBox::key_id_of(**check) != box->key_id()) {
    // A newer key seals from now on: a key file from before it is refused at the next start.
    auto put = put_meta(connection, "key_check", box->seal(kKeyCheck, kKeyCheckContext));
    if (!put) return std::move(put).error();
  }
  return box;
}

Result<> test_free_space(const fs::path& folder) {
  struct statvfs found {};
  if (::statvfs(folder.c_str(), &found) != 0) {
    return Error{ErrorCode::kIo,
                 "cannot look at the free space of " + folder.string() + ": " + errno_text(errno)};
  }
  const uint64_t free = uint64_t{found.f_bavail} * found.f_frsize;
  if (free < kLeastFreeSpace) {
    return Error{ErrorCode::kIo, "only " + std::to_string(free >> 10) + " KiB are free in " +
                                     folder.string() +
                                     ", where at least 16 MiB are needed: " + "free some space"};
  }
  return Unit{};
}

// Reads with a connection of its own, so that the value comes back from the file.
Result<> test_store(Connection& connection) {
  if (auto space = test_free_space(connection.file().parent_path()); !space) return space;
  std::array<uint8_t, 32> random{};
  RAND_bytes(random.data(), random.size());
  const std::string probe(reinterpret_cast<const char*>(random.data()), random.size());
  if (auto put = put_meta(connection, "probe", probe); !put) return put;
  {
    const auto reader = Connection::open(connection.file());
    if (!reader) return reader.error();
    const auto found = find_meta(**reader, "probe");
    if (!found) return found.error();
    if (*found != probe) {
      return Error{ErrorCode::kIo, "the database " + connection.file().string() +
                                       " does not give back what was written: do not trust the "
                                       "disk under it; move the database to another one"};
    }
  }
  Query query = connection.query("DELETE FROM meta WHERE key = 'probe'");
  return query.run();
}

}  // namespace

struct SqliteStore::Impl {
  static constexpr size_t kReaders = 2;

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

  // Reports a row that cannot be used and takes it away.
  Task<> set_aside(sqlite::BadRow bad) {
    const auto move = [bad](Connection& connection) { return sqlite::quarantine(connection, bad); };
    co_await write<Unit>(move);
    log.error("store_row_quarantined",
              "a stored certificate cannot be used; it was moved to the table \"quarantine\" and "
              "will be obtained anew",
              {{"name", bad.name}, {"cause", bad.cause}});
    co_return Unit{};
  }

  const Mailbox::Address home;
  Log& log;
  const SecretBox box;
  // The home thread's. Letters have weak pointers to it: when the store is gone they say nothing.
  struct Puts {
    uint64_t done = 0;
    Stored listener;
  };
  const std::shared_ptr<Puts> puts = std::make_shared<Puts>();
  sqlite::SweepPlace verdicts_place;  // used by write_thread only
  sqlite::SweepPlace failures_place;  // the same
  size_t next_reader = 0;
  const std::unique_ptr<Connection> write_connection;  // used by write_thread only
  const std::array<std::unique_ptr<Connection>, kReaders> read_connections;  // by their threads
  // Last, so that they end first: jobs use what is above. Their queues are bounded by the callers:
  // the gate's flights and the orders in progress.
  JobThread write_thread;
  std::array<JobThread, kReaders> read_threads;
};

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(Options options, Mailbox::Address home,
                                                       Log& log) {
  options.database = fs::absolute(options.database);
  if (auto made = make_private_folder(options.database.parent_path()); !made) {
    return std::move(made).error();
  }
  auto writer = Connection::open(options.database);
  if (!writer) return std::move(writer).error();
  if (auto done = sqlite::migrate(**writer, sqlite::migrations()); !done) {
    return std::move(done).error();
  }
  auto box = open_box(**writer, options.encryption_key_file, log);
  if (!box) return std::move(box).error();
  std::array<std::unique_ptr<Connection>, Impl::kReaders> readers;
  for (auto& reader : readers) {
    auto opened = Connection::open(options.database);
    if (!opened) return std::move(opened).error();
    reader = *std::move(opened);
    if (auto set = reader->execute("PRAGMA query_only=ON"); !set) return std::move(set).error();
  }
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::make_unique<Impl>(
      std::move(home), log, *std::move(box), *std::move(writer), std::move(readers))));
}

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

Task<> SqliteStore::self_test() {
  return impl_->write<Unit>(test_store);
}

Task<CertificatePtr> SqliteStore::find_certificate(ServerName name) {
  // Each turn but the last takes a bad row away, so this ends.
  for (;;) {
    const auto look = [box = impl_->box, name](Connection& connection) {
      return sqlite::find_certificate(connection, box, name);
    };
    const sqlite::Found found = co_await impl_->read<sqlite::Found>(look);
    if (!found.bad) co_return found.certificate;

    const sqlite::BadRow bad = *found.bad;
    co_await impl_->set_aside(bad);
  }
}

Task<> SqliteStore::put_certificate(ServerName name, CertificatePtr certificate,
                                    std::string issuer) {
  // The letter goes home before the job's result does, and whether or not that is waited for.
  return impl_->write<Unit>([box = impl_->box, home = impl_->home,
                             weak = std::weak_ptr<Impl::Puts>(impl_->puts), name = std::move(name),
                             certificate = std::move(certificate),
                             issuer = std::move(issuer)](Connection& connection) {
    auto done = sqlite::put_certificate(connection, box, name, *certificate, issuer);
    if (!done) return done;
    home.post([weak, name, certificate] {
      const auto puts = weak.lock();
      if (puts == nullptr) return;
      ++puts->done;
      const Stored tell = puts->listener;  // it may unset itself
      if (tell != nullptr) tell(name, *certificate);
    });
    return done;
  });
}

Task<> SqliteStore::delete_certificate(ServerName name) {
  return impl_->write<Unit>([name = std::move(name)](Connection& connection) {
    return sqlite::delete_certificate(connection, name);
  });
}

Task<NameRecord> SqliteStore::find_name(ServerName name) {
  struct Read {
    sqlite::Found found;
    sqlite::NameRows rows;
  };
  // Each turn but the last takes a bad row away or saw a put come between, so this ends.
  for (;;) {
    const uint64_t puts_before = impl_->puts->done;
    const auto look = [box = impl_->box, name](Connection& connection) -> Result<Read> {
      auto found = sqlite::find_certificate(connection, box, name);
      if (!found) return std::move(found).error();
      auto rows = sqlite::find_rows(connection, name);
      if (!rows) return std::move(rows).error();
      return Read{*std::move(found), *std::move(rows)};
    };
    Read read = co_await impl_->read<Read>(look);
    if (read.found.bad) {
      const sqlite::BadRow bad = *read.found.bad;
      co_await impl_->set_aside(bad);
      continue;
    }
    // A put that was reported while this was on its way home may have been missed: whoever notes
    // down that there is none must not do so after the listener heard of it.
    if (read.found.certificate == nullptr && impl_->puts->done != puts_before) continue;
    if (!read.rows.bad_verdict.empty()) {
      impl_->log.error("store_verdict_unreadable",
                       "what is stored of the ask endpoint's answer cannot be read; it counts as "
                       "none and will be asked for anew",
                       {{"name", name.text()}, {"cause", read.rows.bad_verdict}});
    }
    read.rows.record.certificate = std::move(read.found.certificate);
    co_return std::move(read.rows.record);
  }
}

Task<> SqliteStore::delete_name(ServerName name) {
  return impl_->write<Unit>([name = std::move(name)](Connection& connection) {
    return sqlite::delete_name(connection, name);
  });
}

Task<> SqliteStore::put_failure(ServerName name, FailureRecord failure) {
  return impl_->write<Unit>(
      [name = std::move(name), failure = std::move(failure)](Connection& connection) {
        return sqlite::put_failure(connection, name, failure);
      });
}

Task<> SqliteStore::delete_failure(ServerName name) {
  return impl_->write<Unit>([name = std::move(name)](Connection& connection) {
    return sqlite::delete_failure(connection, name);
  });
}

Task<> SqliteStore::put_verdict(ServerName name, VerdictRecord verdict) {
  return impl_->write<Unit>(
      [name = std::move(name), verdict = std::move(verdict)](Connection& connection) {
        return sqlite::put_verdict(connection, name, verdict);
      });
}

Task<> SqliteStore::delete_verdict(ServerName name) {
  return impl_->write<Unit>([name = std::move(name)](Connection& connection) {
    return sqlite::delete_verdict(connection, name);
  });
}

Task<std::vector<BucketRecord>> SqliteStore::load_buckets(WallTime now) {
  return impl_->read<std::vector<BucketRecord>>(
      [now](Connection& connection) { return sqlite::load_buckets(connection, now); });
}

Task<> SqliteStore::put_buckets(std::vector<BucketRecord> buckets) {
  return impl_->write<Unit>([buckets = std::move(buckets)](Connection& connection) {
    return sqlite::put_buckets(connection, buckets);
  });
}

Task<> SqliteStore::sweep(WallTime now) {
  Impl& impl = *impl_;
  const std::array<std::function<Result<bool>(Connection&)>, 3> tables{
      [now, &impl](Connection& connection) {
        return sqlite::sweep_verdicts(connection, now, impl.verdicts_place);
      },
      [now, &impl](Connection& connection) {
        return sqlite::sweep_failures(connection, now, impl.failures_place);
      },
      [now](Connection& connection) { return sqlite::sweep_buckets(connection, now); }};
  // A job for each piece, so that other writes come between them.
  for (const auto& sweep_piece : tables) {
    bool more = true;
    for (int piece = 0; piece < kSweepPieces && more; ++piece) {
      more = co_await impl.write<bool>(sweep_piece);
    }
  }
  co_return Unit{};
}

void SqliteStore::on_stored(Stored listener) {
  impl_->puts->listener = std::move(listener);
}

Task<std::optional<AccountRecord>> SqliteStore::find_account(std::string directory) {
  return impl_->read<std::optional<AccountRecord>>(
      [box = impl_->box, directory = std::move(directory)](Connection& connection) {
        return sqlite::find_account(connection, box, directory);
      });
}

Task<> SqliteStore::put_account(AccountRecord account) {
  return impl_->write<Unit>(
      [box = impl_->box, account = std::move(account)](Connection& connection) {
        return sqlite::put_account(connection, box, account);
      });
}

Task<> SqliteStore::delete_account(std::string directory) {
  return impl_->write<Unit>([directory = std::move(directory)](Connection& connection) {
    return sqlite::delete_account(connection, directory);
  });
}

Task<size_t> SqliteStore::count_certificates() {
  return impl_->read<size_t>(sqlite::count_certificates);
}

}  // namespace latchkey
