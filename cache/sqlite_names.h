#pragma once
// What is remembered of names beside their certificates (failures, verdicts), and the buckets: what
// the store does, on one connection, on the calling thread.

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/server_name.h"
#include "cache/secret_box.h"
#include "cache/sqlite.h"
#include "cache/sqlite_orders.h"
#include "cache/store.h"

namespace latchkey::sqlite {

// The name's failure, verdict and order (of that slot); `certificate` stays null.
struct NameRows {
  NameRecord record;
  std::string bad_verdict;  // why the stored verdict counts as none, or ""
  std::vector<BadOrder> bad_orders;
};
Result<NameRows> find_rows(Connection& connection, const SecretBox& box, const ServerName& name,
                           Slot slot);
// In one transaction, with all that delete_certificate() deletes.
Result<> delete_name(Connection& connection, const ServerName& name);

Result<> put_failure(Connection& connection, const ServerName& name, const FailureRecord& failure);
Result<> delete_failure(Connection& connection, const ServerName& name);
Result<> put_verdict(Connection& connection, const ServerName& name, const VerdictRecord& verdict);
Result<> delete_verdict(Connection& connection, const ServerName& name);

Result<std::vector<BucketRecord>> load_buckets(Connection& connection, WallTime now);
Result<> put_buckets(Connection& connection, const std::vector<BucketRecord>& buckets);

// The text up to so many bytes; never cuts a character of UTF-8 in two.
std::string_view cut(std::string_view text, size_t max);

}  // namespace latchkey::sqlite
