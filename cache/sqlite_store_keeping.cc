// The store's housekeeping: its self-test, notes of visits, sweeping, change of keys. Long work is
// done in pieces, each a job of its own, so that other writes come between them.
#include <algorithm>

#include "cache/sqlite_meta.h"
#include "cache/sqlite_reseal.h"
#include "cache/sqlite_store_impl.h"

namespace latchkey {
namespace {

using sqlite::Connection;

constexpr size_t kUsesAtOnce = 500;           // 10 ms
constexpr int kSweepPieces = 50;              // of each table, in one sweep
constexpr int kSweepCertificatePieces = 500;  // their pieces are smaller
constexpr size_t kMaxToldNames = 1000;        // of deleted certificates

}  // namespace

Task<> SqliteStore::self_test() {
  return impl_->write<Unit>(sqlite::test_store);
}

Task<> SqliteStore::note_uses(std::vector<SlotName> names, WallTime now) {
  const auto all = std::make_shared<const std::vector<SlotName>>(std::move(names));
  for (size_t first = 0; first < all->size(); first += kUsesAtOnce) {
    const auto write_piece = [all, first, now](Connection& connection) {
      return sqlite::note_uses(connection, *all, first, first + kUsesAtOnce, now);
    };
    co_await impl_->write<Unit>(write_piece);
  }
  co_return Unit{};
}

Task<SweepReport> SqliteStore::sweep(WallTime now, Millis keep_expired) {
  Impl& impl = *impl_;
  SweepReport report;
  // First, for what is remembered of their names goes with them.
  bool more = true;
  for (int piece = 0; piece < kSweepCertificatePieces && more; ++piece) {
    const auto sweep_piece = [now, keep_expired, &impl](Connection& connection) {
      return sqlite::sweep_certificates(connection, now, keep_expired, impl.certificates_place);
    };
    sqlite::SweptCertificates swept = co_await impl.write<sqlite::SweptCertificates>(sweep_piece);
    more = swept.more;
    for (std::string& name : swept.names) {
      if (report.deleted.size() == kMaxToldNames) break;
      report.deleted.push_back(std::move(name));
    }
  }
  const std::array<std::function<Result<bool>(Connection&)>, 6> tables{
      [now, &impl](Connection& connection) {
        return sqlite::sweep_verdicts(connection, now, impl.verdicts_place);
      },
      [now, &impl](Connection& connection) {
        return sqlite::sweep_failures(connection, now, impl.failures_place);
      },
      [now](Connection& connection) { return sqlite::sweep_buckets(connection, now); },
      [now](Connection& connection) { return sqlite::sweep_events(connection, now); },
      [now](Connection& connection) { return sqlite::sweep_orders(connection, now); },
      [now](Connection& connection) { return sqlite::sweep_staples(connection, now); }};
  for (const auto& sweep_piece : tables) {
    more = true;
    for (int piece = 0; piece < kSweepPieces && more; ++piece) {
      more = co_await impl.write<bool>(sweep_piece);
    }
  }
  co_return report;
}

Task<bool> SqliteStore::reseal() {
  if (impl_->resealed) co_return true;
  const auto write_piece = [box = impl_->box](Connection& connection) {
    return sqlite::reseal_piece(connection, box);
  };
  const sqlite::Resealed piece = co_await impl_->write<sqlite::Resealed>(write_piece);
  for (const sqlite::NotResealed& one : piece.left_alone) {
    impl_->log.error(
        "store_row_not_resealed",
        "a sealed row does not open, and was left alone at the change of the "
        "encryption key",
        {{"table", one.table}, {"row", one.row}, {"needs_key", one.key_id}, {"cause", one.cause}});
  }
  impl_->resealed = piece.done;
  co_return piece.done;
}

void SqliteStore::on_stored(Stored listener) {
  impl_->listeners->stored = std::move(listener);
}

void SqliteStore::on_quarantined(Quarantined listener) {
  impl_->listeners->quarantined = std::move(listener);
}

}  // namespace latchkey
