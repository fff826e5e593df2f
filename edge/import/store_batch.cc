#include "edge/import/store_batch.h"

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "edge/steering_json.h"

namespace latchkey::edge {
namespace {

constexpr size_t kMaxNames = 100;  // that are looked up for one certificate

ImportRow skipped(const ImportSkip& skip) {
  return {skip.damaged ? ImportKind::kDamaged : ImportKind::kSkipped, skip.why};
}

// "a.test, until 2026-03-01T12:00:00Z"
std::string described(const ImportedCertificate& one) {
  const bool twin = one.origin.slot == Slot::kRsa;
  return one.name.text() + ", until " + iso_time(one.certificate->not_after()) +
         (twin ? " (for clients without ECDSA)" : "");
}

ImportRow row_of(const ImportedCertificate& one, ImportOutcome outcome) {
  switch (outcome) {
    case ImportOutcome::kStored:
      return {ImportKind::kTaken, described(one)};
    case ImportOutcome::kSame:
      return {ImportKind::kSame, described(one)};
    case ImportOutcome::kNewer:
      return {ImportKind::kKept, described(one) + ": one that ends later is there"};
  }
  return {ImportKind::kFailed, described(one)};
}

// Has the store good certificates with other keys for all names of an RSA certificate?
Task<bool> has_main_beside(Store& store, CertificatePtr certificate, WallTime now) {
  const std::vector<ServerName> names = usable_names(*certificate);
  if (names.size() > kMaxNames) co_return false;
  for (const ServerName& name : names) {
    Task<NameRecord> finding = store.find_name(name);
    const Result<NameRecord> record = co_await std::move(finding).result();
    if (!record || record->certificate == nullptr) co_return false;
    if (record->certificate->is_rsa() || record->certificate->expired_at(now)) co_return false;
  }
  co_return true;
}

// What would become of it, going by the name that it would be filed under.
Task<ImportRow> look_only(Store& store, ImportedCertificate one) {
  Task<NameRecord> finding = store.find_name(one.name, one.origin.slot);
  const NameRecord record = co_await std::move(finding);
  ImportOutcome outcome = ImportOutcome::kStored;
  if (record.certificate != nullptr && record.info && record.info->slot == one.origin.slot) {
    if (record.certificate->same_leaf(*one.certificate)) {
      outcome = ImportOutcome::kSame;
    } else if (record.info->end > one.certificate->chain_not_after()) {
      outcome = ImportOutcome::kNewer;
    }
  }
  co_return row_of(one, outcome);
}

Task<ImportRow> store_account(Store& store, AccountRecord record, bool dry_run) {
  const std::string what =
      record.directory + ": " + (record.url.empty() ? "its account" : record.url);
  Task<std::optional<AccountRecord>> finding = store.find_account(record.directory);
  const Result<std::optional<AccountRecord>> found = co_await std::move(finding).result();
  if (!found) co_return ImportRow{ImportKind::kFailed, what + ": " + found.error().message};
  if (const auto& there = *found) {
    const bool same = there->key_der == record.key_der || there->next_key_der == record.key_der;
    if (same) co_return ImportRow{ImportKind::kSame, what};
    co_return ImportRow{ImportKind::kKept, what + ": another account of that CA is there already" +
                                               (there->url.empty() ? "" : " (" + there->url + ")")};
  }
  if (!dry_run) {
    Task<> putting = store.put_account(std::move(record));
    const Result<> put = co_await std::move(putting).result();
    if (!put) co_return ImportRow{ImportKind::kFailed, what + ": " + put.error().message};
  }
  co_return ImportRow{ImportKind::kTaken, what};
}

}  // namespace

FiledBatch file_batch(ImportBatch batch, const ImportFiling& filing, WallTime now) {
  thread_local std::minstd_rand random{std::random_device{}()};
  FiledBatch out;
  out.dry_run = batch.dry_run;
  out.certificates.reserve(batch.certificates.size());
  for (ImportBatch::Item& item : batch.certificates) {
    std::variant<JudgedEntry, ImportSkip> judged =
        item.judged ? std::variant<JudgedEntry, ImportSkip>(*std::move(item.judged))
                    : judge_entry(item.entry, now);
    if (auto* const skip = std::get_if<ImportSkip>(&judged)) {
      out.certificates.emplace_back(std::move(*skip));
    } else {
      out.certificates.push_back(
          filing.file(std::get<JudgedEntry>(std::move(judged)), item.entry, now, random));
    }
  }
  out.accounts.reserve(batch.accounts.size());
  for (const ImportAccount& account : batch.accounts) {
    out.accounts.push_back(filing.file(account));
  }
  wipe_secrets(batch);
  return out;
}

ImportRow would_be(const std::variant<ImportedCertificate, ImportSkip>& filed) {
  if (const auto* const skip = std::get_if<ImportSkip>(&filed)) return skipped(*skip);
  return row_of(std::get<ImportedCertificate>(filed), ImportOutcome::kStored);
}

Task<ImportAnswer> store_batch(Store& store, FiledBatch batch, WallTime now) {
  ImportAnswer answer;
  answer.certificates.resize(batch.certificates.size());
  std::vector<ImportedCertificate> wanted;
  std::vector<size_t> places;  // of what is wanted
  wanted.reserve(batch.certificates.size());
  places.reserve(batch.certificates.size());
  for (size_t i = 0; i < batch.certificates.size(); ++i) {
    if (const auto* const skip = std::get_if<ImportSkip>(&batch.certificates[i])) {
      answer.certificates[i] = skipped(*skip);
      continue;
    }
    ImportedCertificate one = std::get<ImportedCertificate>(std::move(batch.certificates[i]));
    if (one.certificate->is_rsa()) {
      Task<bool> looking = has_main_beside(store, one.certificate, now);
      const bool twin = co_await std::move(looking);
      if (twin) one.origin.slot = Slot::kRsa;
    }
    if (batch.dry_run) {
      Task<ImportRow> looking = look_only(store, one);
      ImportRow row = co_await std::move(looking);
      answer.certificates[i] = std::move(row);
      continue;
    }
    wanted.push_back(std::move(one));
    places.push_back(i);
  }
  if (!wanted.empty()) {
    std::vector<ImportedCertificate> copy = wanted;
    Task<std::vector<Result<ImportOutcome>>> storing = store.import_certificates(std::move(copy));
    const std::vector<Result<ImportOutcome>> outcomes = co_await std::move(storing);
    for (size_t i = 0; i < std::min(outcomes.size(), wanted.size()); ++i) {
      const Result<ImportOutcome>& outcome = outcomes[i];
      answer.certificates[places[i]] =
          outcome ? row_of(wanted[i], *outcome)
                  : ImportRow{ImportKind::kFailed,
                              wanted[i].name.text() + ": " + outcome.error().message};
    }
  }
  answer.accounts.reserve(batch.accounts.size());
  std::set<std::string> directories;  // that a dry run would have put an account for
  for (Result<AccountRecord>& account : batch.accounts) {
    if (!account) {
      answer.accounts.push_back({ImportKind::kDamaged, account.error().message});
      continue;
    }
    if (batch.dry_run && !directories.insert(account->directory).second) {
      answer.accounts.push_back(
          {ImportKind::kKept, account->directory + ": another account of that CA would be there"});
      continue;
    }
    Task<ImportRow> storing = store_account(store, *std::move(account), batch.dry_run);
    ImportRow row = co_await std::move(storing);
    answer.accounts.push_back(std::move(row));
  }
  co_return answer;
}

}  // namespace latchkey::edge
