// The store's other rows: what is remembered of names, orders, events, buckets, accounts.
#include "cache/sqlite_accounts.h"
#include "cache/sqlite_events.h"
#include "cache/sqlite_names.h"
#include "cache/sqlite_orders.h"
#include "cache/sqlite_store_impl.h"

namespace latchkey {

using sqlite::Connection;

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

Task<> SqliteStore::put_order(PendingOrder order) {
  return impl_->write<Unit>([box = impl_->box, order = std::move(order)](Connection& connection) {
    return sqlite::put_order(connection, box, order);
  });
}

Task<> SqliteStore::delete_order(ServerName name, Slot slot) {
  return impl_->write<Unit>([name = std::move(name), slot](Connection& connection) {
    return sqlite::delete_order(connection, name, slot);
  });
}

Task<std::vector<PendingOrder>> SqliteStore::load_orders(size_t limit) {
  const auto look = [box = impl_->box, limit](Connection& connection) {
    return sqlite::load_orders(connection, box, limit);
  };
  sqlite::FoundOrders orders = co_await impl_->read<sqlite::FoundOrders>(look);
  if (!orders.bad.empty()) {
    Task<> moving = impl_->set_aside(std::move(orders.bad));
    const Result<> moved = co_await std::move(moving).result();
    (void)moved;  // the good ones are of use all the same
  }
  co_return std::move(orders.found);
}

Task<> SqliteStore::put_events(std::vector<Event> events) {
  return impl_->write<Unit>([events = std::move(events)](Connection& connection) {
    return sqlite::put_events(connection, events);
  });
}

Task<std::vector<Event>> SqliteStore::find_events(std::string name, size_t limit) {
  return impl_->read<std::vector<Event>>([name = std::move(name), limit](Connection& connection) {
    return sqlite::find_events(connection, name, limit);
  });
}

Task<std::optional<AccountRecord>> SqliteStore::find_account(std::string directory) {
  const auto look = [box = impl_->box, directory](Connection& connection) {
    return sqlite::find_account(connection, box, directory);
  };
  sqlite::FoundAccount found = co_await impl_->read<sqlite::FoundAccount>(look);
  if (!found.bad_next_key.empty()) {
    impl_->log.error("store_next_account_key_unreadable",
                     "the new key of an ACME account whose key was being changed cannot be read; "
                     "it counts as none",
                     {{"directory", directory}, {"cause", found.bad_next_key}});
  }
  co_return std::move(found.record);
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

}  // namespace latchkey
