#include "cache/sqlite_import.h"

#include <algorithm>
#include <string>
#include <string_view>

#include "cache/sqlite_certificate_rows.h"
#include "cache/sqlite_renewals.h"
#include "cache/sqlite_slot.h"
#include "cache/sqlite_staples.h"
#include "cache/sqlite_time.h"

namespace latchkey::sqlite {
namespace {

std::vector<std::string> usable_names(const Certificate& certificate) {
  std::vector<std::string> names;
  names.reserve(certificate.names().size());
  for (const std::string& own : certificate.names()) {
    if (const auto name = stored_name(own)) names.push_back(name->text());
  }
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Result<bool> leads_to(Connection& connection, const std::string& name, Slot slot,
                      const std::string& leaf) {
  Query query = connection.query(
      "SELECT 1 FROM certificate_name n JOIN certificate c ON c.id = n.id "
      "WHERE n.name = ? AND c.slot = ? AND c.leaf = ?");
  return query.bind(name).bind(number(slot)).bind_blob(leaf).next();
}

Result<bool> leads_to_newer(Connection& connection, const std::string& name, Slot slot,
                            int64_t end) {
  const auto held = holders(connection, name, slot);
  if (!held) return held.error();
  return std::any_of(held->begin(), held->end(),
                     [end](const Holder& holder) { return holder.end > end; });
}

Result<ImportOutcome> import_one(Connection& connection, const SecretBox& box,
                                 const ImportedCertificate& one) {
  const Certificate& certificate = *one.certificate;
  const Slot slot = one.origin.slot;
  const std::vector<std::string> names = usable_names(certificate);
  if (!std::binary_search(names.begin(), names.end(), one.name.text())) {
    return Error{ErrorCode::kInvalid,
                 "the certificate is not for " + one.name.text() + ", that it is filed under"};
  }
  const std::string leaf = certificate.chain_der()[0];
  const int64_t end = seconds(certificate.chain_not_after());
  std::vector<std::string> taken;
  for (const std::string& name : names) {
    const auto same = leads_to(connection, name, slot, leaf);
    if (!same) return same.error();
    if (*same) return ImportOutcome::kSame;
    const auto newer = leads_to_newer(connection, name, slot, end);
    if (!newer) return newer.error();
    if (!*newer) taken.push_back(name);
  }
  if (taken.empty()) return ImportOutcome::kNewer;

  const auto id = insert(connection, box, one.name, certificate, one.origin);
  if (!id) return id.error();
  std::vector<int64_t> left;
  for (const std::string& name : taken) {
    if (auto done = release(connection, name, slot, left); !done) return std::move(done).error();
    if (auto done = lead(connection, name, *id); !done) return std::move(done).error();
  }
  // By the same rule as what others leave behind: only its wildcards may have been taken.
  left.push_back(*id);
  for (const int64_t row : left) {
    if (auto done = delete_if_nameless(connection, row); !done) return std::move(done).error();
  }
  auto expected = expect_staple(connection, one.name, slot, certificate);
  if (!expected) return std::move(expected).error();
  if (auto named = name_staple(connection, *id); !named) return std::move(named).error();
  return ImportOutcome::kStored;
}

Result<> run(Connection& connection, std::string_view sql) {
  Query query = connection.query(sql);
  return query.run();
}

}  // namespace

Result<std::vector<Result<ImportOutcome>>> import_certificates(
    Connection& connection, const SecretBox& box, const std::vector<ImportedCertificate>& batch) {
  Transaction transaction(connection);
  if (auto begun = transaction.begin(); !begun) return std::move(begun).error();
  std::vector<Result<ImportOutcome>> outcomes;
  outcomes.reserve(batch.size());
  for (const ImportedCertificate& one : batch) {
    if (auto set = run(connection, "SAVEPOINT one"); !set) return std::move(set).error();
    outcomes.push_back(import_one(connection, box, one));
    if (!outcomes.back()) {
      // Fails where the error was the whole transaction's: a full disk, for instance.
      auto undone = run(connection, "ROLLBACK TO one");
      if (!undone) return std::move(outcomes.back()).error();
    }
    if (auto kept = run(connection, "RELEASE one"); !kept) return std::move(kept).error();
  }
  if (auto done = transaction.commit(); !done) return std::move(done).error();
  return outcomes;
}

}  // namespace latchkey::sqlite
