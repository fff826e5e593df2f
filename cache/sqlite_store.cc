// Opening, and what concerns certificates. The other rows are in sqlite_store_rows.cc, the store's
// housekeeping is in sqlite_store_keeping.cc.
#include "cache/sqlite_store.h"

#include <algorithm>

#include "base/file.h"
#include "cache/sqlite_certificates.h"
#include "cache/sqlite_meta.h"
#include "cache/sqlite_names.h"
#include "cache/sqlite_schema.h"
#include "cache/sqlite_store_impl.h"

namespace latchkey {
namespace {

namespace fs = std::filesystem;
using sqlite::Connection;

}  // namespace

Task<> SqliteStore::Impl::set_aside(sqlite::BadRow bad) {
  if (read_only) {
    co_return Error{ErrorCode::kInvalid,
                    "the stored certificate of " + bad.name + " cannot be used: " + bad.cause};
  }
  // The listener hears of it also when this task is dropped.
  const auto move = [bad, home = home,
                     weak = std::weak_ptr(listeners)](Connection& connection) -> Result<bool> {
    auto moved = sqlite::quarantine(connection, bad);
    if (!moved || !*moved) return moved;
    home.post([weak, bad] {
      const auto listening = weak.lock();
      if (listening == nullptr) return;
      const Quarantined tell = listening->quarantined;  // it may unset itself
      if (tell != nullptr) tell(bad.name, bad.cause);
    });
    return moved;
  };
  const bool moved = co_await write<bool>(move);
  if (moved) {
    log.error("store_row_quarantined",
              "a stored certificate cannot be used; it was moved to the table \"quarantine\" and "
              "will be obtained anew",
              {{"name", bad.name}, {"cause", bad.cause}});
  }
  co_return Unit{};
}

Task<> SqliteStore::Impl::set_aside(std::vector<sqlite::BadOrder> bad) {
  if (read_only) co_return Unit{};
  for (const sqlite::BadOrder& one : bad) {
    if (!one.damaged) {
      log.error("store_order_key_missing",
                "the key of a pending order cannot be opened; the order is not gone on with until "
                "that key is put back into the encryption key file",
                {{"name", one.name}, {"cause", one.cause}});
      continue;
    }
    const auto move = [one](Connection& connection) { return sqlite::quarantine(connection, one); };
    const bool moved = co_await write<bool>(move);
    if (!moved) continue;
    log.error("store_order_quarantined",
              "a pending order cannot be used; it was moved to the table \"quarantine\", and the "
              "certificate is ordered anew",
              {{"name", one.name}, {"cause", one.cause}});
  }
  co_return Unit{};
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(Options options, Mailbox::Address home,
                                                       Log& log) {
  options.database = fs::absolute(options.database);
  if (options.read_only) return open_read_only(options, std::move(home), log);
  if (auto made = make_private_folder(options.database.parent_path()); !made) {
    return std::move(made).error();
  }
  auto writer = Connection::open(options.database, options.vfs);
  if (!writer) return std::move(writer).error();
  if (auto done = sqlite::migrate(**writer, sqlite::migrations()); !done) {
    return std::move(done).error();
  }
  auto box = sqlite::open_box(**writer, options.encryption_key_file, log);
  if (!box) return std::move(box).error();
  return with_readers(options, std::move(home), log, *std::move(box), *std::move(writer));
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::open_read_only(const Options& options,
                                                                 Mailbox::Address home, Log& log) {
  auto connection = Connection::open_read_only(options.database, options.vfs);
  if (!connection) return std::move(connection).error();
  if (auto checked = sqlite::check_schema(**connection); !checked) {
    return std::move(checked).error();
  }
  auto box = sqlite::open_existing_box(**connection, options.encryption_key_file);
  if (!box) return std::move(box).error();
  return with_readers(options, std::move(home), log, *std::move(box), *std::move(connection));
}

Result<std::unique_ptr<SqliteStore>> SqliteStore::with_readers(
    const Options& options, Mailbox::Address home, Log& log, SecretBox box,
    std::unique_ptr<sqlite::Connection> writer) {
  std::array<std::unique_ptr<Connection>, Impl::kReaders> readers;
  for (auto& reader : readers) {
    auto opened = options.read_only ? Connection::open_read_only(options.database, options.vfs)
                                    : Connection::open(options.database, options.vfs);
    if (!opened) return std::move(opened).error();
    reader = *std::move(opened);
    if (auto set = reader->execute("PRAGMA query_only=ON"); !set) return std::move(set).error();
  }
  auto impl = std::make_unique<Impl>(std::move(home), log, std::move(box), std::move(writer),
                                     std::move(readers));
  impl->read_only = options.read_only;
  return std::unique_ptr<SqliteStore>(new SqliteStore(std::move(impl)));
}

SqliteStore::SqliteStore(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
SqliteStore::~SqliteStore() = default;

std::string SqliteStore::derive_secret(std::string_view purpose) const {
  return impl_->box.derive(purpose);
}

Task<CertificatePtr> SqliteStore::find_certificate(ServerName name, Slot slot) {
  // Each turn but the last takes a bad row away, so this ends.
  for (;;) {
    const auto look = [box = impl_->box, name, slot](Connection& connection) {
      return sqlite::find_certificate(connection, box, name, slot);
    };
    const sqlite::Found found = co_await impl_->read<sqlite::Found>(look);
    if (!found.bad) co_return found.certificate;

    const sqlite::BadRow bad = *found.bad;
    co_await impl_->set_aside(bad);
  }
}

Task<> SqliteStore::put_certificate(ServerName name, CertificatePtr certificate,
                                    CertificateOrigin origin) {
  // The letter goes home before the job's result does, and whether or not that is waited for.
  return impl_->write<Unit>([box = impl_->box, home = impl_->home,
                             weak = std::weak_ptr(impl_->listeners), name = std::move(name),
                             certificate = std::move(certificate),
                             origin = std::move(origin)](Connection& connection) {
    auto done = sqlite::put_certificate(connection, box, name, *certificate, origin);
    if (!done) return done;
    home.post([weak, name, slot = origin.slot, certificate] {
      const auto listening = weak.lock();
      if (listening == nullptr) return;
      ++listening->puts;
      const Stored tell = listening->stored;  // it may unset itself
      if (tell != nullptr) tell(name, slot, certificate);
    });
    return done;
  });
}

Task<> SqliteStore::delete_certificate(ServerName name) {
  return impl_->write<Unit>([name = std::move(name)](Connection& connection) {
    return sqlite::delete_certificate(connection, name);
  });
}

Task<std::vector<std::string>> SqliteStore::delete_certificate_row(int64_t id) {
  return impl_->write<std::vector<std::string>>(
      [id](Connection& connection) { return sqlite::delete_certificate_row(connection, id); });
}

Task<NameRecord> SqliteStore::find_name(ServerName name, Slot slot) {
  struct Read {
    sqlite::Found found;
    sqlite::NameRows rows;
  };
  // Each turn but the last takes a bad row away or saw a put come between, so this ends.
  for (;;) {
    const uint64_t puts_before = impl_->listeners->puts;
    const auto look = [box = impl_->box, name, slot](Connection& connection) -> Result<Read> {
      auto found = sqlite::find_certificate(connection, box, name, slot);
      if (!found) return std::move(found).error();
      auto rows = sqlite::find_rows(connection, box, name, slot);
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
    if (read.found.certificate == nullptr && impl_->listeners->puts != puts_before) continue;
    if (!read.rows.bad_verdict.empty()) {
      impl_->log.error("store_verdict_unreadable",
                       "what is stored of the ask endpoint's answer cannot be read; it counts as "
                       "none and will be asked for anew",
                       {{"name", name.text()}, {"cause", read.rows.bad_verdict}});
    }
    if (!read.rows.bad_orders.empty()) {
      // What is good is served also when the bad cannot be taken away.
      Task<> moving = impl_->set_aside(std::move(read.rows.bad_orders));
      const Result<> moved = co_await std::move(moving).result();
      (void)moved;
    }
    read.rows.record.certificate = std::move(read.found.certificate);
    read.rows.record.info = std::move(read.found.info);
    co_return std::move(read.rows.record);
  }
}

Task<> SqliteStore::delete_name(ServerName name) {
  return impl_->write<Unit>([name = std::move(name)](Connection& connection) {
    return sqlite::delete_name(connection, name);
  });
}

Task<DueCertificates> SqliteStore::find_due(WallTime now, size_t limit) {
  const auto look = [now, limit](Connection& connection) {
    return sqlite::find_due(connection, now, limit);
  };
  sqlite::Due due = co_await impl_->read<sqlite::Due>(look);
  for (const sqlite::BadRow& bad : due.bad) {
    const sqlite::BadRow one = bad;
    co_await impl_->set_aside(one);
  }
  co_return std::move(due.found);
}

Task<> SqliteStore::put_plan(int64_t id, RenewalPlan plan) {
  return impl_->write<Unit>(
      [id, plan](Connection& connection) { return sqlite::put_plan(connection, id, plan); });
}

Task<std::vector<CertificateInfo>> SqliteStore::list_certificates(CertificateQuery query) {
  constexpr size_t kMaxPage = 1000;
  size_t wanted = std::min(query.limit, kMaxPage);
  std::vector<CertificateInfo> page;
  page.reserve(wanted);
  // A job for each piece, so that other reads come between them.
  while (wanted > 0) {
    query.limit = wanted;
    const auto look = [query](Connection& connection) {
      return sqlite::list_piece(connection, query);
    };
    sqlite::Listed piece = co_await impl_->read<sqlite::Listed>(look);
    for (CertificateInfo& one : piece.found) page.push_back(std::move(one));
    wanted -= std::min(wanted, piece.found.size());
    if (!piece.more) break;
    query.after = std::move(piece.last);
  }
  co_return page;
}

Task<size_t> SqliteStore::count_certificates() {
  return impl_->read<size_t>(sqlite::count_certificates);
}

}  // namespace latchkey
