// Imports, staples, and records that are published for challenges.
#include "cache/sqlite_dns_proofs.h"
#include "cache/sqlite_import.h"
#include "cache/sqlite_staples.h"
#include "cache/sqlite_store_impl.h"

namespace latchkey {

using sqlite::Connection;

Task<std::vector<Result<ImportOutcome>>> SqliteStore::import_certificates(
    std::vector<ImportedCertificate> batch) {
  using Outcomes = std::vector<Result<ImportOutcome>>;
  const auto all = std::make_shared<const std::vector<ImportedCertificate>>(std::move(batch));
  // The letter goes home before the job's result does, and whether or not that is waited for.
  return impl_->write<Outcomes>([box = impl_->box, home = impl_->home,
                                 weak = std::weak_ptr(impl_->listeners),
                                 all](Connection& connection) {
    auto done = sqlite::import_certificates(connection, box, *all);
    if (!done) return done;
    home.post([weak, all, outcomes = *done] {
      for (size_t i = 0; i < all->size(); ++i) {
        if (!outcomes[i] || *outcomes[i] != ImportOutcome::kStored) continue;
        const auto listening = weak.lock();
        if (listening == nullptr) return;
        ++listening->puts;
        const Stored tell = listening->stored;  // it may unset itself
        const ImportedCertificate& one = (*all)[i];
        if (tell != nullptr) tell(one.name, one.origin.slot, one.certificate);
      }
    });
    return done;
  });
}

Task<> SqliteStore::put_staple(StapleRecord record) {
  return impl_->write<Unit>([record = std::move(record)](Connection& connection) {
    return sqlite::put_staple(connection, record);
  });
}

Task<> SqliteStore::delete_staple(std::string leaf) {
  return impl_->write<Unit>([leaf = std::move(leaf)](Connection& connection) {
    return sqlite::delete_staple(connection, leaf);
  });
}

Task<std::optional<StapleRecord>> SqliteStore::find_staple(std::string leaf) {
  return impl_->read<std::optional<StapleRecord>>([leaf = std::move(leaf)](Connection& connection) {
    return sqlite::find_staple(connection, leaf);
  });
}

Task<DueStaples> SqliteStore::find_due_staples(WallTime now, size_t limit) {
  return impl_->read<DueStaples>([now, limit](Connection& connection) {
    return sqlite::find_due_staples(connection, now, limit);
  });
}

Task<> SqliteStore::hasten_staples(WallTime late, WallTime at) {
  return impl_->write<Unit>(
      [late, at](Connection& connection) { return sqlite::hasten_staples(connection, late, at); });
}

Task<int64_t> SqliteStore::put_dns_proof(DnsProof proof) {
  return impl_->write<int64_t>([proof = std::move(proof)](Connection& connection) {
    return sqlite::put_dns_proof(connection, proof);
  });
}

Task<> SqliteStore::delete_dns_proof(int64_t id) {
  return impl_->write<Unit>(
      [id](Connection& connection) { return sqlite::delete_dns_proof(connection, id); });
}

Task<std::vector<DnsProof>> SqliteStore::load_dns_proofs(size_t limit) {
  return impl_->read<std::vector<DnsProof>>(
      [limit](Connection& connection) { return sqlite::load_dns_proofs(connection, limit); });
}

}  // namespace latchkey
